#!/bin/sh
# Makes in the working directory what a chassis needs so that only its supervisor reads its cards, where there is none yet:
#   ca-key.pem       the authority's key: keep it where no card is
#   pinif-ca.pem     its certificate, and pinif.token, the token: for the supervisor
#   slotN/           cert.pem, key.pem and token of the card in slot N: for its /etc/pinif/tls
#
#   sh certificates.sh NET FIRST LAST      as in: sh certificates.sh 10.90.0 1 16
set -eu
umask 077
[ $# = 3 ] || { echo "usage: $0 NET FIRST LAST" >&2; exit 2; }

if ! [ -e ca-key.pem ]; then
    openssl ecparam -name prime256v1 -genkey -noout -out ca-key.pem
    openssl req -new -x509 -key ca-key.pem -out pinif-ca.pem -days 3650 -subj "/CN=pinif: cards of $1.0"
fi
[ -e pinif.token ] || openssl rand -base64 32 > pinif.token

slot=$2
while [ "$slot" -le "$3" ]; do
    mkdir -p "slot$slot"
    (
        cd "slot$slot"
        cp ../pinif.token token
        openssl ecparam -name prime256v1 -genkey -noout -out key.pem
        openssl req -new -key key.pem -out request.pem -subj "/CN=slot $slot"
        printf 'subjectAltName=IP:%s\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n' "$1.$slot" > extensions
        openssl x509 -req -in request.pem -CA ../pinif-ca.pem -CAkey ../ca-key.pem -set_serial "0x$(openssl rand -hex 16)" \
            -days 825 -sha256 -extfile extensions -out cert.pem 2> errors || { cat errors >&2; exit 1; }
        rm request.pem extensions errors
        # A certificate is no secret, and the unit's user reads it.
        chmod 0644 cert.pem
    )
    slot=$((slot + 1))
done
