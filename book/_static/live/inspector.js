// The lower half of the live page: every layer's maps, and the arithmetic of one unit.
(() => {
  const live = (window.live ??= {});
  const { network, paint } = live;
  const { LAYERS } = network;
  const find = (id) => document.getElementById(`live-${id}`);
  const state = { layer: 1, picked: {}, channel: 0, all: null };
  const TITLES = {
    image: "image",
    conv1: "conv 1",
    pool1: "pool 1",
    conv2: "conv 2",
    pool2: "pool 2",
    fc1: "dense 1",
    fc2: "dense 2",
    fc3: "logits",
    softmax: "softmax",
  };
  const DIGITS = [..."0123456789"];

  const textsOf = ({ maps }) => (maps === 10 ? DIGITS : undefined);
  const number = (value, places = 4) => value.toFixed(places).replace("-", "−");
  const numberOr = (value) => (value < 0 ? `(${number(value)})` : number(value));
  const clamp = (value, most) => Math.min(most, Math.max(0, value));

  // The picked unit of the layer, or its strongest one.
  function unitOf(index) {
    const { name, size } = LAYERS[index];
    if (state.picked[name]) return state.picked[name];
    const values = state.all[name];
    const at = values.indexOf(values.reduce((a, b) => Math.max(a, b)));
    const row = Math.floor(at / size) % size;
    return { map: Math.floor(at / size ** 2), row, column: at % size };
  }

  function pick(unit) {
    const { name, maps, size } = LAYERS[state.layer];
    const old = unitOf(state.layer);
    const { map, row, column } = { ...old, ...unit };
    state.picked[name] = {
      map: clamp(map, maps - 1),
      row: clamp(row, size - 1),
      column: clamp(column, size - 1),
    };
    showLayer();
  }

  // The row of layers: each a button with its maps.
  const buttons = LAYERS.map(({ name, maps, size }, index) => {
    const item = document.createElement("li");
    const shape = size > 1 ? `${maps}×${size}×${size}` : maps;
    item.innerHTML =
      `<button type="button"><canvas aria-hidden="true"></canvas>` +
      `<b>${TITLES[name]}</b> <span>${shape}</span></button>`;
    item.firstChild.addEventListener("click", () => step(index));
    find("strip").append(item);
    return item.firstChild;
  });

  function step(index) {
    state.layer = clamp(index, LAYERS.length - 1);
    state.channel = 0;
    showLayer();
  }
  find("back").addEventListener("click", () => step(state.layer - 1));
  find("forward").addEventListener("click", () => step(state.layer + 1));

  // Choosing a unit: by a click, by arrow keys over all the maps, by three numbers.
  const maps = find("maps");
  maps.addEventListener("click", (event) => {
    const shape = LAYERS[state.layer];
    const { columns, cell, step, width } = paint.mosaic(shape);
    const box = maps.getBoundingClientRect();
    const dot = width / box.width;
    const [x, y] = [(event.clientX - box.left) * dot, (event.clientY - box.top) * dot];
    const [across, down] = [Math.floor(x / step), Math.floor(y / step)];
    const map = down * columns + across;
    if (map >= shape.maps) return;
    pick({ map, row: Math.floor((y % step) / cell), column: Math.floor((x % step) / cell) });
  });

  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  maps.addEventListener("keydown", (event) => {
    if (!(event.key in KEYS)) return;
    event.preventDefault();
    const shape = LAYERS[state.layer];
    const { columns } = paint.mosaic(shape);
    const { map, row, column } = unitOf(state.layer);
    const { size } = shape;
    const [across, down] = KEYS[event.key];
    const x = clamp((map % columns) * size + column + across, columns * size - 1);
    const y = Math.max(0, Math.floor(map / columns) * size + row + down);
    const next = Math.floor(y / size) * columns + Math.floor(x / size);
    if (next < shape.maps) pick({ map: next, row: y % size, column: x % size });
  });

  const inputs = ["map", "row", "column"];
  for (const name of inputs)
    find(name).addEventListener("change", ({ target }) => pick({ [name]: Math.trunc(target.value) || 0 }));

  find("arithmetic").addEventListener("change", ({ target }) => {
    state.channel = Number(target.value);
    showArithmetic();
    find("arithmetic").querySelector(`input[value="${state.channel}"]`).focus();
  });

  function show(all) {
    state.all = all;
    LAYERS.forEach((layer, index) => {
      paint.layer(buttons[index].firstChild, layer, all[layer.name]);
    });
    showLayer();
  }

  function showLayer() {
    const layer = LAYERS[state.layer];
    const unit = unitOf(state.layer);
    buttons.forEach((button, index) => {
      if (index === state.layer) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    });
    find("back").disabled = state.layer === 0;
    find("forward").disabled = state.layer === LAYERS.length - 1;
    for (const text of find("texts").children) text.hidden = text.dataset.layer !== layer.name;

    paint.layer(maps, layer, state.all[layer.name], { unit, texts: textsOf(layer) });
    find("map-text").textContent = layer.size > 1 ? "map" : layer.maps === 10 ? "digit" : "unit";
    for (const name of inputs) {
      const input = find(name);
      input.max = name === "map" ? layer.maps - 1 : layer.size - 1;
      if (Number(input.value) !== unit[name] || input.value === "") input.value = unit[name];
      input.parentElement.hidden = Number(input.max) === 0;
    }
    showField(unit);
    showArithmetic();
  }

  function showField(unit) {
    const { top, bottom, left, right } = network.receptiveField(state.layer, unit);
    const canvas = find("field");
    paint.image(canvas, state.all.image, 28);
    const dot = canvas.width / 28;
    const [width, height] = [right - left + 1, bottom - top + 1];
    const context = canvas.getContext("2d");
    if (width * height < 784) paint.frame(context, left * dot, top * dot, width * dot, height * dot);
    find("field-text").textContent =
      width * height === 1
        ? `It is the pixel in row ${top}, column ${left}.`
        : width * height === 784
          ? "It depends on the whole image."
          : `It depends on rows ${top} to ${bottom}, columns ${left} to ${right} of the image.`;
  }

  // A square of numbers on their colours.
  function square(title, values, colour, most) {
    const side = Math.sqrt(values.length);
    const cells = Array.from(values, (value) => {
      const ground = colour(value / (most || 1));
      const style = `background:${paint.css(ground)};color:${paint.readable(ground)}`;
      return `<td style="${style}">${number(value, 2)}</td>`;
    });
    const rows = Array.from({ length: side }, (_, i) => cells.slice(i * side, (i + 1) * side).join(""));
    return `<table><caption>${title}</caption><tr>${rows.join("</tr><tr>")}</tr></table>`;
  }

  const greatest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const result = (value) => `<output>${number(value)}</output>`;

  function convolution({ channels, sum, bias, value }, layer, before) {
    state.channel = Math.min(state.channel, channels.length - 1);
    const { patch, kernel, products } = channels[state.channel];
    const choice = channels.map(
      (channel, i) =>
        `<label><input type="radio" name="live-channel" value="${i}"${i === state.channel ? " checked" : ""}>` +
        ` map ${i}: ${number(channel.sum)}</label>`,
    );
    const from = before.name === "image" ? "image" : `map ${state.channel} of ${TITLES[before.name]}`;
    const many = channels.length > 1;
    return (
      (many
        ? `<fieldset><legend>Each map of ${TITLES[before.name]} meets a kernel of its own and adds a sum:` +
          `</legend>${choice.join("")}</fieldset>`
        : "") +
      `<div class="live-sum">${square(`patch of the ${from}`, patch, paint.ink, greatest(state.all[before.name]))}` +
      `<span>×</span>${square("kernel", kernel, paint.signed, greatest(kernel))}` +
      `<span>=</span>${square("products", products, paint.signed, greatest(products))}</div>` +
      closing(`sum of ${many ? "all" : "the"} ${25 * channels.length} products`, sum, bias, value, layer)
    );
  }

  function closing(what, sum, bias, value, { relu }) {
    const total = `${number(sum)} + ${numberOr(bias)} = ${relu ? number(sum + bias) : result(value)}`;
    const bend = relu ? `<br>ReLU: max(0, ${number(sum + bias)}) = ${result(value)}` : "";
    return `<p>${what} + bias: ${total}${bend}</p>`;
  }

  function dense({ channels: [{ patch, kernel, products }], sum, bias, value }, layer, before) {
    const order = [...products.keys()].sort((a, b) => Math.abs(products[b]) - Math.abs(products[a]));
    const shown = order.slice(0, 6);
    const rest = shown.reduce((left, i) => left - products[i], sum);
    const { size } = before;
    const place = (i) =>
      size > 1
        ? `map ${Math.floor(i / size ** 2)}, row ${Math.floor(i / size) % size}, column ${i % size}`
        : `unit ${i}`;
    const lines = shown.map(
      (i) =>
        `<tr><th scope="row">${place(i)}</th><td>${number(patch[i])}</td>` +
        `<td>${number(kernel[i])}</td><td>${number(products[i])}</td></tr>`,
    );
    return (
      `<div class="live-sum"><table class="live-list"><caption>the largest of ${products.length} products` +
      `</caption><tr><th scope="col">of ${TITLES[before.name]}</th><th scope="col">value</th>` +
      `<th scope="col">weight</th><th scope="col">product</th></tr>${lines.join("")}` +
      `<tr><th scope="row">the other ${products.length - shown.length}</th><td></td><td></td>` +
      `<td>${number(rest)}</td></tr></table>` +
      `<figure><canvas id="live-products" role="img" aria-label="All products, in the places of their inputs">` +
      `</canvas><figcaption>all products: light adds, dark takes away</figcaption></figure></div>` +
      closing(`sum of ${products.length} products`, sum, bias, value, layer)
    );
  }

  function pooling({ window, value }, before) {
    const most = greatest(state.all[before.name]);
    return (
      `<div class="live-sum">${square(`window of ${TITLES[before.name]}`, window, paint.ink, most)}</div>` +
      `<p>max(${window.map((one) => number(one)).join(", ")}) = ${result(value)}</p>`
    );
  }

  function shares(unit, value) {
    const greatestLogit = Math.max(...state.all.fc3);
    const powers = Array.from(state.all.fc3, (logit) => Math.exp(logit - greatestLogit));
    const sum = powers.reduce((a, b) => a + b);
    return (
      `<p>e<sup>${number(state.all.fc3[unit.map])} − ${numberOr(greatestLogit)}</sup> = ` +
      `${number(powers[unit.map])}, divided by the sum of all ten, ${number(sum)}: ${result(value)}</p>`
    );
  }

  function showArithmetic() {
    const [layer, before] = [LAYERS[state.layer], LAYERS[state.layer - 1]];
    const unit = unitOf(state.layer);
    const parts = network.explain(state.layer, unit, state.all);
    const byte = Math.round(255 * parts.value);
    const write = {
      conv: () => convolution(parts, layer, before),
      pool: () => pooling(parts, before),
      dense: () => dense(parts, layer, before),
      softmax: () => shares(unit, parts.value),
    }[layer.kind];
    find("arithmetic").innerHTML = write ? write() : `<p>${byte} / 255 = ${result(parts.value)}</p>`;
    if (layer.kind === "dense") paint.layer(find("products"), before, parts.channels[0].products);
  }

  live.inspector = { show };
})();
