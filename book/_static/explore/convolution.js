// A kernel slides over a digit: chapter 2.
(() => {
  const { make, number, build, controls, button, view, pixels } = window.explore;
  const SIDE = 28;
  const OWN = "your own";
  const KERNELS = {
    "vertical edges": [-1, 0, 1, -2, 0, 2, -1, 0, 1],
    "horizontal edges": [-1, -2, -1, 0, 0, 0, 1, 2, 1],
    "all edges": [0, 1, 0, 1, -4, 1, 0, 1, 0],
    sharpen: [0, -1, 0, -1, 5, -1, 0, -1, 0],
    blur: [1, 2, 1, 2, 4, 2, 1, 2, 1].map((weight) => weight / 16),
  };

  const outputSize = (n, k, stride, padding, dilation) =>
    Math.floor((n + 2 * padding - dilation * (k - 1) - 1) / stride) + 1;

  function padded(values, padding) {
    const size = SIDE + 2 * padding;
    const result = new Float64Array(size * size);
    for (let row = 0; row < SIDE; row++)
      result.set(values.subarray(row * SIDE, (row + 1) * SIDE), (row + padding) * size + padding);
    return result;
  }

  // The pixels of a padded image under the kernel, when output (row, column) is computed.
  function patch(values, size, k, { row, column, stride, dilation }) {
    return Array.from({ length: k * k }, (_, i) => {
      const y = row * stride + Math.floor(i / k) * dilation;
      return values[y * size + column * stride + (i % k) * dilation];
    });
  }

  function convolve(image, kernel, { stride = 1, padding = 0, dilation = 1 } = {}) {
    const k = Math.sqrt(kernel.length);
    const size = outputSize(SIDE, k, stride, padding, dilation);
    const values = padded(image, padding);
    const output = Float64Array.from({ length: size * size }, (_, at) => {
      const place = { row: Math.floor(at / size), column: at % size, stride, dilation };
      const under = patch(values, SIDE + 2 * padding, k, place);
      return under.reduce((sum, pixel, i) => sum + pixel * kernel[i], 0);
    });
    return { size, values, output };
  }

  // The middle of a kernel, or zeros around it.
  function resized(kernel, k) {
    const old = Math.sqrt(kernel.length);
    const shift = Math.floor((old - k) / 2);
    return Array.from({ length: k * k }, (_, i) => {
      const [row, column] = [Math.floor(i / k) + shift, (i % k) + shift];
      return Math.min(row, column) < 0 || Math.max(row, column) >= old ? 0 : kernel[row * old + column];
    });
  }

  build("convolution", (desk, refresh) => {
    let kernel = KERNELS["vertical edges"];
    let last = null; // the shape for which the place was chosen
    const width = () => Math.sqrt(kernel.length);

    const { choice, slider } = controls(desk, refresh);
    const digit = choice("digit", pixels.names, { value: "7" });
    const named = choice("kernel", [...Object.keys(KERNELS), OWN], {
      change(name) {
        kernel = KERNELS[name] ?? kernel;
        size.value = String(width());
        writeWeights();
      },
    });
    const size = choice("its size", ["1", "2", "3", "4", "5"], {
      value: "3",
      change(k) {
        kernel = resized(kernel, Number(k));
        named.value = OWN;
        writeWeights();
      },
    });
    const stride = slider("stride", { min: 1, max: 5, value: 1 });
    const padding = slider("padding", { min: 0, max: 4, value: 0 });
    const dilation = slider("dilation", { min: 1, max: 4, value: 1 });

    const views = desk.appendChild(make("div", { class: "explore-views" }));
    const [input, result] = [view(views), view(views)];
    const moves = controls(desk, refresh);
    const columns = () => outputSize(SIDE, width(), stride.value, padding.value, dilation.value);
    const placeText = (at) => `row ${Math.floor(at / columns())}, column ${at % columns()}`;
    const position = moves.slider("position", { min: 0, max: 0, value: 0, text: placeText });

    const sum = desk.appendChild(make("div", { class: "explore-sum" }));
    const under = make("table");
    const weights = make("div", { class: "explore-weights", role: "group", "aria-label": "Weights of the kernel" });
    const answer = make("output");
    sum.append(under, "×", weights, "sum", answer);
    const sentence = desk.appendChild(make("p"));

    // One field a weight; what is no number counts as 0.
    function writeWeights() {
      weights.style.setProperty("--columns", width());
      weights.replaceChildren(
        ...kernel.map((weight, i) => {
          const [row, column] = [Math.floor(i / width()), i % width()];
          const name = `weight, row ${row}, column ${column}`;
          const field = make("input", { type: "number", step: "any", value: weight, "aria-label": name });
          field.addEventListener("input", () => {
            const typed = Number(field.value);
            kernel = kernel.with(i, Number.isFinite(typed) ? Math.max(-1e6, Math.min(1e6, typed)) : 0);
            named.value = OWN;
            refresh();
          });
          return field;
        }),
      );
    }
    writeWeights();

    // The film: one position after the other, unless the reader's system asks for rest.
    let playing = null;
    function stop() {
      cancelAnimationFrame(playing);
      playing = null;
      play.textContent = "Let it slide";
    }
    function step() {
      const most = columns() ** 2 - 1;
      const next = position.input.valueAsNumber + Math.ceil(most / 400);
      position.value = Math.min(most, next);
      if (next >= most) stop();
      else playing = requestAnimationFrame(step);
      show();
    }
    const play = button("Let it slide", () => {
      if (playing !== null) {
        stop();
        return refresh();
      }
      position.value = 0;
      play.textContent = "Stop";
      playing = requestAnimationFrame(step);
    });
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) position.input.parentNode.append(play);
    for (const name of ["input", "change"])
      desk.addEventListener(name, () => playing !== null && stop(), { capture: true });

    result.canvas.addEventListener("click", (event) => {
      const box = result.canvas.getBoundingClientRect();
      const place = (at, start, length) => Math.floor(((at - start) / length) * columns());
      const row = place(event.clientY, box.top, box.height);
      if (playing !== null) stop();
      position.value = row * columns() + place(event.clientX, box.left, box.width);
      refresh();
    });

    function show() {
      const [s, p, d, k] = [stride.value, padding.value, dilation.value, width()];
      const image = pixels.digits[Number(digit.value)];
      const { size: n, values, output } = convolve(image, kernel, { stride: s, padding: p, dilation: d });
      if (last !== n) {
        // keep the place in the picture when the map's size changes, and start where there is ink
        const [row, column] = last
          ? [Math.floor(position.value / last), position.value % last].map((i) => Math.floor(((i + 0.5) / last) * n))
          : [5, 5];
        last = n;
        position.limit(n * n - 1);
        position.value = row * n + column;
      }
      const at = position.value;
      const place = { row: Math.floor(at / n), column: at % n, stride: s, dilation: d };
      const wide = SIDE + 2 * p;

      const dot = pixels.paint(input.canvas, values, wide);
      const context = input.canvas.getContext("2d");
      [context.strokeStyle, context.lineWidth] = ["#808080", 2];
      context.setLineDash([6, 4]);
      if (p) context.strokeRect(p * dot, p * dot, SIDE * dot, SIDE * dot);
      context.setLineDash([]);
      for (let i = 0; i < k * k; i++) {
        const [y, x] = [place.row * s + Math.floor(i / k) * d, place.column * s + (i % k) * d];
        pixels.mark(input.canvas, x * dot, y * dot, dot, dot);
      }
      const most = output.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
      const known = playing === null ? output : output.map((value, i) => (i > at ? NaN : value));
      const colour = (share) => (Number.isNaN(share) ? [255, 255, 255] : pixels.signed(share));
      const big = pixels.paint(result.canvas, known, n, { colour, most });
      pixels.mark(result.canvas, place.column * big, place.row * big, big, big);

      const pixelsUnder = patch(values, wide, k, place);
      under.replaceChildren(make("caption", { class: "live-spoken" }, "Pixels under the kernel"));
      for (let row = 0; row < k; row++) {
        const cells = pixelsUnder.slice(row * k, (row + 1) * k);
        under.append(make("tr", {}, ...cells.map((value) => make("td", {}, number(value)))));
      }
      answer.textContent = `= ${number(output[at])}`;

      const framed = p ? `, padded to ${wide} × ${wide}` : "";
      input.caption.textContent = `28 × 28 pixels${framed}`;
      result.caption.textContent = `output: ${n} × ${n}`;
      input.canvas.setAttribute("aria-label", `A handwritten ${digit.value}${framed}; the kernel at ${placeText(at)}`);
      result.canvas.setAttribute("aria-label", `Feature map of ${n} × ${n} numbers from ${number(Math.min(...output))} to ${number(Math.max(...output))}`);
      const rest = (wide - d * (k - 1) - 1) % s;
      const unread = rest === 0 ? "" : rest === 1 ? " The last row and column are never read." : ` The last ${rest} rows and columns are never read.`;
      sentence.textContent = `⌊(28 + 2·${p} − ${d}·(${k} − 1) − 1) / ${s}⌋ + 1 = ${n}.${unread}`;
      return `Output ${n} by ${n}. At ${placeText(at)} the sum is ${number(output[at])}.${unread}`;
    }
    return show;
  });

  window.explore.convolution = { outputSize, convolve };
})();
