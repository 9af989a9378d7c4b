// Softmax and temperature: chapter 4.
(() => {
  const { make, number, build, controls } = window.explore;
  const LOGITS = { 3: 3, 5: 1.5, 8: 2.5, 9: 0.5 }; // a 3 that might be an 8

  // With the largest logit taken away first, which changes nothing and keeps the powers in range.
  function softmax(logits, temperature = 1) {
    const scaled = logits.map((logit) => logit / temperature);
    const most = Math.max(...scaled);
    const powers = scaled.map((logit) => Math.exp(logit - most));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / sum);
  }

  build("softmax", (desk, refresh) => {
    const { slider } = controls(desk, refresh);
    const names = Object.keys(LOGITS);
    const text = (value) => number(value, 1);
    const logits = names.map((name) =>
      slider(`logit of the ${name}`, { min: -5, max: 5, step: 0.1, value: LOGITS[name], text }),
    );
    const added = slider("added to all", { min: -100, max: 100, step: 1, value: 0 , text: (value) => number(value, 0) });
    const temperature = slider("temperature", {
      min: -1,
      max: 1.5,
      step: 0.05,
      value: 0,
      scale: (power) => Number((10 ** power).toPrecision(2)),
    });

    const table = desk.appendChild(make("table", { class: "explore-bars" }));
    table.append(make("caption", { class: "live-spoken" }, "Probability of each digit"));
    const rows = names.map((name) => {
      const cells = [make("th", { scope: "row" }, name), make("td", {}, make("span")), make("td")];
      table.append(make("tr", {}, ...cells));
      return cells;
    });
    const sentence = desk.appendChild(make("p"));

    return function show() {
      const values = logits.map((logit) => logit.value + added.value);
      const shares = softmax(values, temperature.value);
      const best = shares.indexOf(Math.max(...shares));
      rows.forEach(([head, bar, share], i) => {
        head.parentNode.classList.toggle("explore-best", i === best);
        bar.firstChild.style.width = `${100 * shares[i]}%`;
        share.textContent = number(shares[i], 4);
      });
      const ranked = [...shares.keys()].sort((a, b) => shares[b] - shares[a]);
      const [first, second] = ranked.map((i) => names[i]);
      const gap = values[ranked[0]] - values[ranked[1]];
      const ratio = Math.exp(gap / temperature.value);
      const times = ratio < 1e4 ? Number(ratio.toPrecision(3)) : ratio.toExponential(1).replace("e+", " · 10^");
      sentence.textContent = `The ${first} is ${times} times as probable as the ${second}: e to the power of ${number(gap, 1)} / ${temperature.value}.`;
      return `${names.map((name, i) => `${name}: ${number(shares[i], 3)}`).join("; ")}.`;
    };
  });

  window.explore.softmax = softmax;
})();
