// Turns of what was pasted or uploaded: JSON Lines, a JSON array, or lines like `Ana: I moved.`

const LINE = /^\s*([^:\n]{1,80}?)\s*:\s*(\S.*)$/;
const FIELDS = ["id", "speaker", "text", "time", "session", "caption", "metadata"];

// Throws an Error that says what is wrong, and where.
export function turnsOf(text) {
  const trimmed = text.trim();
  if (trimmed === "") throw new Error("There is no conversation: paste one, or choose a file.");
  if (trimmed.startsWith("[")) return parsed(trimmed, "The conversation").map((value, place) => turn(value, `Turn ${place + 1}`));
  const lines = trimmed.split(/\r?\n/);
  if (trimmed.startsWith("{")) {
    return lines.flatMap((line, place) => (line.trim() === "" ? [] : [turn(parsed(line, `Line ${place + 1}`), `Line ${place + 1}`)]));
  }
  return spoken(lines);
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

// A line without a speaker goes on with the turn before it.
function spoken(lines) {
  const turns = [];
  for (const line of lines) {
    const [, speaker, text] = LINE.exec(line) ?? [];
    if (speaker) turns.push({ speaker, text });
    else if (turns.length > 0) turns.at(-1).text += `\n${line}`;
    else if (line.trim() !== "") throw new Error("Line 1 names no speaker: write `Ana: I moved.`, or paste JSON.");
  }
  const seen = new Map();
  return turns.map(({ speaker, text }) => ({ id: identity(speaker, text.trimEnd(), seen), speaker, text: text.trimEnd() }));
}

// The same turns have the same ids whenever they are pasted: the server then knows them again.
function identity(speaker, text, seen) {
  let hash = 2166136261;
  for (const unit of new TextEncoder().encode(`${speaker}\n${text}`)) hash = Math.imul(hash ^ unit, 16777619);
  const name = (hash >>> 0).toString(16).padStart(8, "0");
  seen.set(name, (seen.get(name) ?? 0) + 1);
  return `${name}-${seen.get(name)}`;
}
