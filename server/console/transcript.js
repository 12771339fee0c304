// A plain transcript as `budgetmem ingest --format transcript` reads it (budgetmem/importers/transcript.py):
// `Name: text` lines, sessions parted by blank lines or by dates. tests/importers holds the two to the same.

// A name begins with a letter, so that "10:30" is none, and a space follows the colon, so that the "https:" of an address is none.
const SPOKEN = /^([\p{L}\p{Nl}\p{No}][^:]{0,63}):(?:\s+(.*))?$/su;
const MONTHS = [
  "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
];
const SHORT = MONTHS.map((name) => name.slice(0, 3));
const FULL = MONTHS.join("|");
const ANY = [...MONTHS, ...SHORT].join("|");

// What a date may look like, and which of its groups are year, month and day.
const DAYS = [
  [/^(\d{4})-(\d\d?)-(\d\d?)/, [1, 2, 3]],
  [/^(\d{4})\/(\d\d?)\/(\d\d?)/, [1, 2, 3]],
  [RegExp(`^(\\d\\d?)\\s+(${ANY})\\s+(\\d{4})`, "i"), [3, 2, 1]],
  [RegExp(`^(\\d\\d?)\\s+(${FULL}),\\s+(\\d{4})`, "i"), [3, 2, 1]],
  [RegExp(`^(${ANY})\\s+(\\d\\d?),\\s+(\\d{4})`, "i"), [3, 1, 2]],
];
const TIMES = [
  /^()()()()$/,
  /^(?:\s+|T)(\d\d?):(\d\d?)(?::(\d\d?))?()$/i,
  /^,\s+(\d\d?):(\d\d?)()()$/,
  /^,?\s+(\d\d?):(\d\d?)()\s+([ap]m)$/i,
];
const LONGEST_DATE = 40;

// Objects with speaker, text, and of their session `number` and `time` (ISO 8601, or none).
// Throws an Error that names the line that belongs to nobody.
export function saidIn(text) {
  const turns = [];
  let session = { number: 1, said: 0 };
  for (const [place, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    const time = header(line);
    const [, speaker, words = ""] = SPOKEN.exec(line) ?? [];
    if (line === "" || time) {
      // A date directly after a blank line, or several blank lines, open one session only.
      if (session.said > 0) session = { number: session.number + 1, said: 0 };
      session.time = time ?? session.time;
    } else if (speaker) {
      turns.push({ speaker: speaker.trim(), text: words, number: session.number, time: session.time });
      session.said += 1;
    } else if (session.said > 0) {
      const last = turns.at(-1);
      last.text = last.text === "" ? line : `${last.text}\n${line}`;
    } else {
      throw new Error(`Line ${place + 1} names no speaker: write \`Ana: I moved.\` or a date, or paste JSON.`);
    }
  }
  return turns;
}

// The time that a line is, as `2023-05-08T14:00:00`; undefined for any other line.
export function header(line) {
  const bare = line.replace(/^[#[\]()=\-* \t]+|[#[\]()=\-* \t]+$/g, "");
  if (bare.length > LONGEST_DATE) return undefined;
  for (const [form, order] of DAYS) {
    const day = form.exec(bare);
    const time = day && TIMES.map((each) => each.exec(bare.slice(day[0].length))).find(Boolean);
    const found = time && instant(...order.map((group) => day[group]), ...time.slice(1));
    if (found) return found;
  }
  return undefined;
}

function instant(year, month, day, hours = "", minutes = "", seconds = "", half = "") {
  const named = SHORT.findIndex((name) => name.toLowerCase() === month.slice(0, 3).toLowerCase());
  const hour = half ? twelve(Number(hours), half) : Number(hours);
  const parts = [year, named < 0 ? month : named + 1, day, hour, minutes, seconds].map(Number);
  const [y, m, d, ...clock] = parts;
  const date = new Date(0);
  date.setUTCFullYear(y, m - 1, d);
  date.setUTCHours(...clock);
  // A part that is out of its range carries over into another.
  const same = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()];
  return y > 0 && parts.every((part, place) => part === same[place]) ? date.toISOString().slice(0, 19) : undefined;
}

// The hour of a day; of 0 or 13 o'clock in either half there is none.
function twelve(hour, half) {
  if (hour < 1 || hour > 12) return NaN;
  return (hour % 12) + (half.toLowerCase() === "pm" ? 12 : 0);
}
