// What the loaded router came to in its training, by cost weight, and where the slider is on it.

import { drawn, element, scrolled, table } from "./dom.js";
import { MICRO_USD, micro, shown } from "./numbers.js";

const WIDTH = 480, HEIGHT = 260;
const LEFT = 46, RIGHT = 14, TOP = 14, BOTTOM = 42;
const STEPS = [0, 0.25, 0.5, 0.75, 1];

// Between two measured cost weights, on the line between what was measured there.
export function operatingPoint(points, costWeight) {
  const next = points.findIndex((point) => point.costWeight >= costWeight);
  if (next === 0 || points.length === 1) return { ...means(points[0]), measured: [points[0].costWeight] };
  if (next === -1) return { ...means(points.at(-1)), measured: [points.at(-1).costWeight] };
  const [below, above] = [points[next - 1], points[next]];
  if (above.costWeight === costWeight) return { ...means(above), measured: [costWeight] };
  const share = (costWeight - below.costWeight) / (above.costWeight - below.costWeight);
  const [from, to] = [means(below), means(above)];
  return {
    score: from.score + share * (to.score - from.score),
    costUsd: from.costUsd + share * (to.costUsd - from.costUsd),
    measured: [below.costWeight, above.costWeight],
  };
}

const means = ({ score, costUsd }) => ({ score: score.mean, costUsd: costUsd.mean });

// The chart, and what it is a chart of, in words and as a table.
export function frontierFigure({ points, dataset, profile, questions }, costWeight) {
  const now = operatingPoint(points, costWeight);
  const place = now.measured.length === 1 ? "measured there" : `on the line between λ = ${now.measured.map(shown).join(" and ")}`;
  const here = `λ = ${shown(costWeight)}: score ${now.score.toFixed(3)} for ${micro(now.costUsd)} × ${MICRO_USD} a question, ${place}.`;
  const origin = `Measured on ${questions} validation questions of ${dataset}, profile ${profile}, by which this router was also picked: expect less of other questions. Bars are 95% intervals.`;
  const rows = points.map((point) => element("tr", {}, ...cells(point).map((text) => element("td", { class: "number" }, text))));
  return [
    element("h3", {}, "What λ buys"),
    chart(points, now, here),
    element("figcaption", {}, element("strong", { id: "operating" }, here), " ", element("span", { class: "quiet" }, origin)),
    element("details", {}, element("summary", {}, "As a table"), scrolled("Frontier as a table", table("Frontier", ["λ", "Score", "95%", MICRO_USD, "95%"], element("tbody", {}, ...rows)))),
  ];
}

const cells = ({ costWeight, score, costUsd }) => [
  shown(costWeight), score.mean.toFixed(3), `${score.low.toFixed(3)} – ${score.high.toFixed(3)}`,
  micro(costUsd.mean), `${micro(costUsd.low)} – ${micro(costUsd.high)}`,
];

function chart(points, now, label) {
  const most = Math.max(...points.map((point) => point.costUsd.high)) || 1;
  const x = (usd) => LEFT + (usd / most) * (WIDTH - LEFT - RIGHT);
  const y = (score) => HEIGHT - BOTTOM - score * (HEIGHT - TOP - BOTTOM);
  const line = points.map(({ score, costUsd }) => `${x(costUsd.mean)},${y(score.mean)}`).join(" ");
  return drawn(
    "svg", { class: "frontier", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Frontier of score and cost. ${label}` },
    ...STEPS.flatMap((step) => axisStep(step, most, x, y)),
    drawn("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, `${MICRO_USD} a question`),
    drawn("text", { x: 11, y: (TOP + HEIGHT - BOTTOM) / 2, "text-anchor": "middle", transform: `rotate(-90 11 ${(TOP + HEIGHT - BOTTOM) / 2})` }, "score"),
    ...points.flatMap(({ score, costUsd }) => [
      bar(x(costUsd.low), y(score.mean), x(costUsd.high), y(score.mean)),
      bar(x(costUsd.mean), y(score.low), x(costUsd.mean), y(score.high)),
    ]),
    drawn("polyline", { class: "line", points: line }),
    ...points.map(({ score, costUsd }) => drawn("circle", { class: "point", cx: x(costUsd.mean), cy: y(score.mean), r: 3.5 })),
    drawn("circle", { class: "now", cx: x(now.costUsd), cy: y(now.score), r: 8 }),
  );
}

const bar = (x1, y1, x2, y2) => drawn("line", { class: "interval", x1, y1, x2, y2 });

function axisStep(step, most, x, y) {
  return [
    drawn("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(step), y2: y(step) }),
    drawn("text", { x: LEFT - 6, y: y(step) + 4, "text-anchor": "end" }, shown(step)),
    drawn("text", { x: x(step * most), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, micro(step * most)),
  ];
}
