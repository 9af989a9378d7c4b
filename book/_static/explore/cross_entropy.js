// Cross-entropy against the probability that the truth was given: chapter 4.
(() => {
  const { make, draw, number, build, controls, plot } = window.explore;
  const OTHERS = { count: 99, probability: 0.99 };

  const loss = (p) => -Math.log(p);

  function batch(p) {
    const sum = loss(p) + OTHERS.count * loss(OTHERS.probability);
    return { mean: sum / (OTHERS.count + 1), share: loss(p) / sum };
  }

  build("cross_entropy", (desk, refresh) => {
    const { slider } = controls(desk, refresh);
    const probability = slider("probability p", {
      min: 0.001,
      max: 0.999,
      step: 0.001,
      value: 0.1,
      text: (p) => number(p, 3),
    });
    const row = desk.appendChild(make("div", { class: "explore-views explore-wide" }));
    const { svg, layer, at, line } = plot(row.appendChild(make("div")), {
      label: "",
      x: { range: [0, 1] },
      y: { range: [0, 7] },
      ticks: {
        x: [0, 0.2, 0.4, 0.6, 0.8, 1].map((p) => [p, String(p)]),
        y: [0, 1, 2, 3, 4, 5, 6, 7].map((nats) => [nats, String(nats)]),
      },
      names: { x: "probability p of the truth", y: "loss in nats" },
    });
    const curve = Array.from({ length: 999 }, (_, i) => [(i + 1) / 1000, loss((i + 1) / 1000)]);
    const guide = draw("path", { class: "explore-guide" });
    const point = draw("circle", { class: "explore-point", r: 6 });
    layer.append(draw("path", { class: "explore-line", d: line(curve) }), guide, point);
    const table = row.appendChild(make("table", { class: "explore-numbers" }));
    table.append(make("caption", { class: "live-spoken" }, "What this probability costs"));
    const cells = ["loss, −log p", "pull on its logit, 1 − p", "mean of 100 digits, 99 of them at p = 0.99", "this digit’s share of that"].map((name) => {
      const cell = make("td");
      table.append(make("tr", {}, make("th", { scope: "row" }, name), cell));
      return cell;
    });

    return function show() {
      const p = probability.value;
      const { mean, share } = batch(p);
      const texts = [number(loss(p), 3), number(1 - p, 3), number(mean, 4), `${number(100 * share, 1)} %`];
      cells.forEach((cell, i) => (cell.textContent = texts[i]));
      const [x, y] = [at.x(p), at.y(loss(p))];
      point.setAttribute("cx", x);
      point.setAttribute("cy", y);
      guide.setAttribute("d", `M${at.x(0)} ${y}H${x}V${at.y(0)}`);
      svg.setAttribute("aria-label", `Minus the logarithm of p, falling from 7 to 0; at p = ${number(p, 3)} it is ${texts[0]}.`);
      return `Loss ${texts[0]}. Mean of the hundred ${texts[2]}, of which this digit has ${texts[3]}.`;
    };
  });

  window.explore.crossEntropy = { loss, batch };
})();
