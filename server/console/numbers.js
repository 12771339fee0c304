// How numbers are written.

export const shown = (value) => Number(Number(value).toPrecision(3)).toString();

export const count = (value) => Number(value).toLocaleString("en");

// USD of a question are so few that millionths are read more easily.
export const MICRO_USD = "10⁻⁶ USD";
export const micro = (usd) => shown(usd * 1e6);
