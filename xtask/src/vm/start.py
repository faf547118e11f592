"""Starts a module of virtme-ng from the environment that it was installed into: ENVIRONMENT MODULE ARGUMENTS."""

import importlib
import sys

environment, module = sys.argv[1:3]
del sys.argv[1:3]
sys.path[0] = environment

# The machine reads this machine's files, which stay as they are while it runs, and may keep what it has read. Otherwise
# it reads each program anew whenever it starts it. virtme-ng has no option for it.
try:
    import virtme.mkinitramfs as initramfs

    initramfs._MOUNT_ROOT_HOST = initramfs._MOUNT_ROOT_HOST.replace(
        "trans=virtio,", "trans=virtio,cache=loose,"
    )
except (ImportError, AttributeError):
    pass

sys.exit(importlib.import_module(module).main())
