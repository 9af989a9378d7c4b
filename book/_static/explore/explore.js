// What the explorables share: they take the place of a figure's picture, and have controls with names,
// text that a screen reader hears when the reader's hand rests, and plots that follow the theme.
(() => {
  const explore = (window.explore ??= {});
  const SVG = "http://www.w3.org/2000/svg";

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }
  const make = (tag, attributes = {}, ...children) =>
    fill(document.createElement(tag), attributes, children);
  const draw = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS(SVG, tag), attributes, children);

  // Numbers as text, with a minus sign that is one.
  const number = (value, digits = 2) => value.toFixed(digits).replace(/^-(0(?:\.0*)?)$/, "$1").replace("-", "−");

  // `maker(desk, refresh)` fills the desk and returns what shows its state and gives the sentence to say.
  function build(name, maker) {
    for (const figure of document.querySelectorAll(`[data-explore="${name}"]`)) {
      const desk = make("div", { class: "live explore-desk" });
      const voice = make("p", { class: "live-spoken", role: "status" });
      let show = () => "";
      let waiting;
      const refresh = () => {
        const sentence = show();
        clearTimeout(waiting);
        waiting = setTimeout(() => (voice.textContent = sentence), 900);
      };
      show = maker(desk, refresh);
      show();
      const image = figure.querySelector("img");
      const picture = image.closest("p") ?? image;
      picture.classList.add("explore-picture");
      picture.after(desk, voice);
      new MutationObserver(show).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    }
  }

  let count = 0;

  // A line of controls. Each returns an object whose `value` is the state.
  function controls(desk, refresh) {
    const box = desk.appendChild(make("div", { class: "explore-controls" }));

    function add(label, input, ...others) {
      input.id = `explore-${++count}`;
      box.append(make("label", { for: input.id }, label), input, ...others);
      return input;
    }

    // `text` writes the value for eyes and screen readers; `scale` leads from the handle to the value.
    function slider(label, { min, max, step = 1, value, text = String, scale = Number, change = () => {} }) {
      const input = make("input", { type: "range", min, max, step, value });
      const shown = make("span");
      add(label, input, shown);
      const control = {
        input,
        get value() {
          return scale(Number(input.value));
        },
        set value(handle) {
          input.value = handle;
          control.write();
        },
        limit(most) {
          input.max = most;
          control.write();
        },
        write() {
          shown.textContent = text(control.value);
          input.setAttribute("aria-valuetext", shown.textContent);
        },
      };
      input.addEventListener("input", () => {
        control.write();
        change(control.value);
        refresh();
      });
      control.write();
      return control;
    }

    // One of several; `options` are the texts.
    function choice(label, options, { value = options[0], change = () => {} } = {}) {
      const select = make("select", {}, ...options.map((option) => make("option", {}, option)));
      select.value = value;
      add(label, select, make("span"));
      select.addEventListener("change", () => {
        change(select.value);
        refresh();
      });
      return select;
    }

    return { slider, choice };
  }

  const button = (text, press) => {
    const node = make("button", { type: "button" }, text);
    node.addEventListener("click", press);
    return node;
  };

  // A canvas with a caption under it.
  function view(parent, side = 448) {
    const canvas = make("canvas", { width: side, height: side, role: "img" });
    const caption = make("figcaption");
    parent.append(make("figure", {}, canvas, caption));
    return { canvas, caption };
  }

  // Axes of a plot: `x` and `y` lead from values to places; `ticks` are lists of [value, text].
  function plot(parent, { label, width = 340, height = 220, left = 44, bottom = 38, x, y, ticks, names }) {
    const [right, top] = [width - 12, 10];
    const place = ([low, high], from, to, log) => {
      const f = log ? Math.log : Number;
      return (value) => from + ((f(value) - f(low)) / (f(high) - f(low))) * (to - from);
    };
    const at = {
      x: place(x.range, left, right, x.log),
      y: place(y.range, height - bottom, top, y.log),
    };
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    const clip = `explore-${++count}`;
    svg.append(
      draw("clipPath", { id: clip }, draw("rect", { x: left, y: top - 6, width: right - left + 6, height: height - bottom - top + 6 })),
      draw("path", { class: "explore-axis", d: `M${left} ${top}V${height - bottom}H${right}` }),
    );
    for (const [value, text] of ticks.x)
      svg.append(draw("text", { x: at.x(value), y: height - bottom + 16, "text-anchor": "middle" }, text));
    for (const [value, text] of ticks.y)
      svg.append(draw("text", { x: left - 6, y: at.y(value) + 4, "text-anchor": "end" }, text));
    svg.append(
      draw("text", { x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, names.x),
      draw("text", { transform: `translate(11 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, names.y),
    );
    const layer = draw("g", { "clip-path": `url(#${clip})` });
    svg.append(layer);
    parent.append(svg);
    const line = (points) => "M" + points.map(([a, b]) => `${at.x(a).toFixed(1)} ${at.y(b).toFixed(1)}`).join("L");
    return { svg, layer, at, line };
  }

  Object.assign(explore, { make, draw, number, build, controls, button, view, plot });
})();
