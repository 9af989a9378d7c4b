// The learning rate on a bowl with a steep axis and a flat one: chapter 4.
(() => {
  const { make, draw, number, build, controls, plot } = window.explore;
  const START = [-4, 1];
  const FLAT = 1;
  const LEVELS = [0.1, 1, 3, 8, 20, 60];
  const [LEAST, MOST] = [1e-9, 1e3]; // of the loss, on the plot

  const bowl = ([x, y], steep) => 0.5 * (FLAT * x * x + steep * y * y);

  // Gradient descent: all the places from the start on.
  function descend(rate, steep, steps) {
    const path = [START];
    for (let t = 0; t < steps; t++) {
      const [x, y] = path[t];
      path.push([x - rate * FLAT * x, y - rate * steep * y]);
    }
    return path;
  }

  const ellipse = (level, steep) =>
    Array.from({ length: 121 }, (_, i) => {
      const angle = (2 * Math.PI * i) / 120;
      return [Math.sqrt((2 * level) / FLAT) * Math.cos(angle), Math.sqrt((2 * level) / steep) * Math.sin(angle)];
    });

  // Places far outside are cut off where the plots cannot show them, so that no path is endless.
  const within = (value, most) => Math.max(-most, Math.min(most, value));
  const short = (value) =>
    value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e4)
      ? value.toExponential(1).replace("e", " · 10^").replace("+", "").replace("-", "−")
      : number(value, 3);

  build("learning_rate", (desk, refresh) => {
    const { slider } = controls(desk, refresh);
    const rate = slider("learning rate", {
      min: -3,
      max: 0.4,
      step: 0.005,
      value: -1.02,
      scale: (power) => Number((10 ** power).toPrecision(3)),
    });
    const steep = slider("steep curvature", { min: 1, max: 40, value: 20 });
    const steps = slider("steps", { min: 1, max: 100, value: 30 });
    const row = desk.appendChild(make("div", { class: "explore-views" }));
    const surface = plot(row.appendChild(make("div")), {
      label: "",
      x: { range: [-5, 5] },
      y: { range: [-3, 3] },
      ticks: { x: [-4, -2, 0, 2, 4].map((v) => [v, number(v, 0)]), y: [-2, 0, 2].map((v) => [v, number(v, 0)]) },
      names: { x: "flat axis", y: "steep axis" },
    });
    const losses = plot(row.appendChild(make("div")), {
      label: "",
      x: { range: [0, 100] },
      y: { range: [LEAST, MOST], log: true },
      ticks: {
        x: [0, 20, 40, 60, 80, 100].map((t) => [t, String(t)]),
        y: [[1e3, "10³"], [1, "1"], [1e-3, "10⁻³"], [1e-6, "10⁻⁶"], [1e-9, "10⁻⁹"]],
      },
      names: { x: "step", y: "loss" },
    });
    const sentence = desk.appendChild(make("p"));

    return function show() {
      const [eta, h, last] = [rate.value, steep.value, steps.value];
      const path = descend(eta, h, last);
      const values = path.map((place) => bowl(place, h));
      const seen = path.map(([x, y]) => [within(x, 50), within(y, 50)]);
      surface.layer.replaceChildren(
        ...LEVELS.map((level) => draw("path", { class: "explore-contour", d: surface.line(ellipse(level, h)) })),
        draw("path", { class: "explore-line", d: surface.line(seen) }),
        ...seen.map(([x, y]) =>
          draw("circle", { class: "explore-point", r: 2.5, cx: surface.at.x(x), cy: surface.at.y(y) }),
        ),
      );
      const curve = values.map((value, t) => [t, within(Math.max(value, LEAST / 10), 10 * MOST)]);
      losses.layer.replaceChildren(draw("path", { class: "explore-line", d: losses.line(curve) }));

      const limit = 2 / Math.max(h, FLAT);
      const factors = [1 - eta * FLAT, 1 - eta * h];
      const slowest = Math.max(...factors.map(Math.abs));
      const fate = slowest > 1 ? "it diverges" : slowest === 1 ? "it never arrives" : "it converges";
      sentence.textContent = `A step multiplies the flat coordinate by ${number(factors[0], 3)} and the steep one by ${number(factors[1], 3)}: ${fate}. The limit is 2 / ${h} = ${Number(limit.toPrecision(3))}. Loss after ${last === 1 ? "1 step" : `${last} steps`}: ${short(values[last])}.`;
      surface.svg.setAttribute("aria-label", `Contours of the bowl and the path of ${last} steps from −4, 1.`);
      losses.svg.setAttribute("aria-label", `Loss along the steps, from ${short(values[0])} to ${short(values[last])}.`);
      return sentence.textContent;
    };
  });

  window.explore.descend = descend;
})();
