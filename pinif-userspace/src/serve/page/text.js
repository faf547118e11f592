// Words and numbers for people. Names are chosen by others: what such a name must not do is written as an escape.

// What does something instead of being seen: control and format characters (C0, DEL, C1, bidirectional controls), separators of lines, and
// all that Unicode lets a reader leave out. The same list as in the terminal's texts, `text/escape.rs`.
const HAZARD = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
// How many characters of a text are shown.
const LONGEST = 4000;
// How many of a name.
const NAME = 64;

/** The text with each hazard written as an escape: a newline becomes `\n`, ESC `\x1b`, a bidirectional override `\u{202e}`. */
export function visible(text) {
  return shortened(String(text), LONGEST).replace(HAZARD, (character) => {
    const number = character.codePointAt(0);
    switch (character) {
      case "\n": return "\\n";
      case "\r": return "\\r";
      case "\t": return "\\t";
      default: return number < 128
        ? `\\x${number.toString(16).padStart(2, "0")}`
        : `\\u{${number.toString(16)}}`;
    }
  });
}

/** A name, no longer than a table can take. */
export function name(text, most = NAME) {
  return shortened(String(text), most);
}

function shortened(text, most) {
  const characters = text.length > most ? [...text] : [];
  return characters.length > most
    ? `${characters.slice(0, most).join("")}… (${characters.length} characters)`
    : text;
}

/** `1,040`. */
export function grouped(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `1 packet`, `1,040 packets`. */
export function counted(number, what) {
  return `${grouped(number)} ${what}${number === 1 ? "" : "s"}`;
}

/** `68.6 kB`. */
export function bytes(number) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (number >= 999.5 && unit < units.length - 1) {
    number /= 1000;
    unit += 1;
  }
  return unit === 0 ? `${grouped(number)} B` : `${number.toPrecision(3)} ${units[unit]}`;
}

/** A rate as `pinif top` shows it: `1,040/s`, `0.5/s`; nothing where nothing grows. */
export function rate(each) {
  if (!(each > 0)) {
    return "";
  }
  return each >= 9.95 ? `${grouped(each)}/s` : `${Math.max(each, 0.1).toFixed(1)}/s`;
}

/** How long: `0.4 s`, `12 s`, `3 min`, `2 h 5 min`, `3 d 4 h`. */
export function span(seconds) {
  if (seconds < 10) {
    return `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(whole / unit));
  if (days > 0) {
    return `${days} d ${hours % 24} h`;
  }
  if (hours > 0) {
    return `${hours} h ${minutes % 60} min`;
  }
  return minutes > 0 ? `${minutes} min` : `${whole} s`;
}

/** A moment in UTC to the second, of RFC 3339: `2026-03-01 12:00:00`. */
export function moment(time) {
  return String(time ?? "").slice(0, 19).replace("T", " ");
}

/** A process: `telemetryd (pid 4242)`. */
export function process(process) {
  if (!process) {
    return "";
  }
  return process.pid === null ? name(process.comm) : `${name(process.comm)} (pid ${process.pid})`;
}

/** Who a finding is about, in some words. */
export function sender(finding) {
  if (finding.process) {
    return process(finding.process);
  }
  const subject = finding.subject ?? {};
  switch (subject.type) {
    case "program": return name(subject.exe ?? "a program that has ended");
    case "kernel": return `kernel (${subject.what})`;
    case "forwarded": return `forwarded from ${name(subject.interface)}`;
    case "receiver": return `no socket at ${subject.address ?? "any address"}`;
    case "other-programs": return `other programs of uid ${subject.uid}`;
    case "others": return "others";
    default: return "unknown";
  }
}

/** What a socket is bound to. */
export function bound(finding) {
  return finding.bound_device === null ? "unpinned" : name(finding.bound_device);
}
