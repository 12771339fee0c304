// Turns of what was pasted or uploaded: JSON Lines, a JSON array, or a transcript with lines like `Ana: I moved.`

import { header, saidIn } from "./transcript.js";

// A message of the server's may have 16 MiB. A batch is far below it, unless it is a single turn.
const BATCH_TURNS = 200;
const BATCH_BYTES = 2 * 1024 * 1024;
const FIELDS = ["id", "speaker", "text", "time", "session", "caption", "metadata"];

// Throws an Error that says what is wrong, and where.
export function turnsOf(text) {
  const trimmed = text.trim();
  if (trimmed === "") throw new Error("There is no conversation: paste one, or choose a file.");
  const lines = trimmed.split(/\r?\n/);
  // A transcript may begin with a date in brackets.
  if (trimmed.startsWith("[") && !header(lines[0])) return parsed(trimmed, "The conversation").map((value, place) => turn(value, `Turn ${place + 1}`));
  if (trimmed.startsWith("{")) {
    return lines.flatMap((line, place) => (line.trim() === "" ? [] : [turn(parsed(line, `Line ${place + 1}`), `Line ${place + 1}`)]));
  }
  return spoken(text);
}

// The turns in parts that a message has room for, in order.
export function* batches(turns) {
  const encoder = new TextEncoder();
  let batch = [];
  let size = 0;
  for (const each of turns) {
    const bytes = encoder.encode(JSON.stringify(each)).length;
    if (batch.length === BATCH_TURNS || (batch.length > 0 && size + bytes > BATCH_BYTES)) {
      yield batch;
      [batch, size] = [[], 0];
    }
    batch.push(each);
    size += bytes;
  }
  if (batch.length > 0) yield batch;
}

function parsed(text, name) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${name} is not JSON: ${error.message}`);
  }
}

function turn(value, name) {
  const missing = ["id", "speaker", "text"].filter((field) => !value?.[field]);
  if (missing.length > 0) throw new Error(`${name} has no ${missing.join(", ")}.`);
  return Object.fromEntries(FIELDS.filter((field) => value[field] !== undefined).map((field) => [field, value[field]]));
}

// A session with a date is called by it, so that transcripts that are added one by one stay apart; another by its number.
function spoken(transcript) {
  const seen = new Map();
  return saidIn(transcript).map(({ speaker, text, number, time }) => {
    const session = time ?? String(number);
    return { id: identity([session, speaker, text], seen), speaker, text, session, ...(time && { time }) };
  });
}

// The same turns have the same ids whenever they are pasted: the server then knows them again.
function identity(said, seen) {
  let hash = 2166136261;
  for (const unit of new TextEncoder().encode(said.join("\n"))) hash = Math.imul(hash ^ unit, 16777619);
  const name = (hash >>> 0).toString(16).padStart(8, "0");
  seen.set(name, (seen.get(name) ?? 0) + 1);
  return `${name}-${seen.get(name)}`;
}
