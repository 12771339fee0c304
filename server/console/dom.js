// Everything on the page is made here, of text nodes: nothing that a server says is read as HTML.

const SVG = "http://www.w3.org/2000/svg";

export const element = (tag, properties, ...children) => filled(document.createElement(tag), properties, children);

export const drawn = (tag, properties, ...children) => filled(document.createElementNS(SVG, tag), properties, children);

export const table = (caption, heads, rows) => element(
  "table", {}, element("caption", {}, caption),
  element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))), rows,
);

// What is wider than the page can be scrolled by keyboard too.
export const scrolled = (label, ...children) => element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, ...children);

function filled(made, properties = {}, children = []) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
