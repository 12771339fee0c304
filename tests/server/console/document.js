// As much of a document as run.js needs: elements that keep what was put into them.

class Fake {
  constructor(tag) {
    this.tag = tag;
    this.attributes = {};
    this.children = [];
  }

  setAttribute(name, value) { this.attributes[name] = value; }

  addEventListener() {}

  append(...children) {
    this.children.push(...children);
    for (const child of children) if (child instanceof Fake) child.parent = this;
  }

  prepend(...children) { this.children.unshift(...children); }

  replaceChildren(...children) { this.children = children; }

  replaceWith(other) {
    const { children } = this.parent;
    children[children.indexOf(this)] = other;
  }

  set textContent(text) { this.children = [text]; }

  get textContent() {
    return this.children.map((child) => (child instanceof Fake ? child.textContent : String(child))).join(" ");
  }

  *all(tag) {
    if (this.tag === tag) yield this;
    for (const child of this.children) if (child instanceof Fake) yield* child.all(tag);
  }
}

globalThis.document = { createElement: (tag) => new Fake(tag), createElementNS: (_, tag) => new Fake(tag) };
