// Pooling, and what it makes of a digit that moves: chapter 3.
(() => {
  const { make, number, build, controls, view, pixels } = window.explore;
  const SIDE = 28;

  // Move an image to the right; what leaves is lost.
  const shifted = (image, by) => image.map((_, at) => (at % SIDE < by ? 0 : image[at - by]));

  function pool(image, { rule, window: k, stride }) {
    const size = Math.floor((SIDE - k) / stride) + 1;
    const values = Float64Array.from({ length: size * size }, (_, at) => {
      const corner = (Math.floor(at / size) * SIDE + (at % size)) * stride;
      const inside = Array.from({ length: k * k }, (_, i) => image[corner + Math.floor(i / k) * SIDE + (i % k)]);
      return rule === "max" ? Math.max(...inside) : inside.reduce((a, b) => a + b) / (k * k);
    });
    return { size, values };
  }

  const length = (values) => Math.hypot(...values);
  const change = (before, after) => length(after.map((value, i) => value - before[i])) / length(before);

  // Whether one map is the other, moved by whole cells to the right.
  const isMoved = (before, after, size, cells) =>
    after.every((value, at) => value === (at % size < cells ? 0 : before[at - cells]));

  build("pooling", (desk, refresh) => {
    const { choice, slider } = controls(desk, refresh);
    const digit = choice("digit", pixels.names, { value: "4" });
    const rule = choice("rule", ["max", "mean"]);
    const extent = slider("window", { min: 1, max: 14, value: 2, change: (k) => (stride.value = k) });
    const stride = slider("stride", { min: 1, max: 14, value: 2 });
    const shift = slider("moved by", {
      min: 0,
      max: 8,
      value: 1,
      text: (by) => (by === 1 ? "1 pixel" : `${by} pixels`),
    });
    const views = desk.appendChild(make("div", { class: "explore-views" }));
    const shown = Array.from({ length: 4 }, () => view(views, 224));
    const sentence = desk.appendChild(make("p"));

    function show() {
      const options = { rule: rule.value, window: extent.value, stride: stride.value };
      const by = shift.value;
      const before = pixels.digits[Number(digit.value)];
      const after = shifted(before, by);
      const maps = [before, after].map((image) => pool(image, options));
      const { size } = maps[0];
      const pictures = [
        [before, SIDE, `28 × 28 pixels`],
        [after, SIDE, `moved: changed by ${number(change(before, after))}`],
        [maps[0].values, size, `pooled: ${size} × ${size}`],
        [maps[1].values, size, `moved, then pooled: changed by ${number(change(maps[0].values, maps[1].values))}`],
      ];
      pictures.forEach(([values, side, text], i) => {
        const { canvas, caption } = shown[i];
        const dot = pixels.paint(canvas, values, side);
        if (i < 2) paintWindows(canvas, dot, size, options);
        caption.textContent = text;
        canvas.setAttribute("aria-label", `${i % 2 ? "Moved" : "Unmoved"} ${digit.value}, ${i < 2 ? "pixels" : "pooled"}`);
      });
      const cells = Math.floor(by / options.stride);
      const exact = isMoved(maps[0].values, maps[1].values, size, cells);
      const moved = cells === 0 ? "stayed where it was" : `moved by exactly ${cells === 1 ? "1 cell" : `${cells} cells`}`;
      const because = by % options.stride
        ? `${by} is no multiple of the stride ${options.stride}`
        : "something came in or went out at the edges";
      const verdict = !by
        ? "Nothing has moved yet."
        : exact
          ? `The pooled map has ${moved}; nothing else happened to it.`
          : `The pooled map has changed, and not only moved: ${because}.`;
      sentence.textContent = verdict;
      return `${pictures[1][2]}; ${pictures[3][2]}. ${verdict}`;
    }
    return show;
  });

  // Where the windows begin and the last one ends.
  function paintWindows(canvas, dot, size, { window: k, stride }) {
    const context = canvas.getContext("2d");
    const end = (size - 1) * stride + k;
    [context.strokeStyle, context.lineWidth] = ["rgb(128 128 128 / 60%)", 1.5];
    context.beginPath();
    for (const line of [...Array.from({ length: size }, (_, i) => i * stride), end]) {
      context.moveTo(line * dot, 0);
      context.lineTo(line * dot, end * dot);
      context.moveTo(0, line * dot);
      context.lineTo(end * dot, line * dot);
    }
    context.stroke();
  }

  window.explore.pooling = { shifted, pool, change };
})();
