// LeNet-5, forwards, and the arithmetic of any one of its numbers. Needs weights.js.
// Values lie map by map, row by row, as in PyTorch; sums are added up in double precision.
(() => {
  const live = (window.live ??= {});

  const LAYERS = [
    { name: "image", maps: 1, size: 28 },
    { name: "conv1", kind: "conv", maps: 6, size: 28, kernel: 5, padding: 2, relu: true },
    { name: "pool1", kind: "pool", maps: 6, size: 14 },
    { name: "conv2", kind: "conv", maps: 16, size: 10, kernel: 5, padding: 0, relu: true },
    { name: "pool2", kind: "pool", maps: 16, size: 5 },
    { name: "fc1", kind: "dense", maps: 120, size: 1, relu: true },
    { name: "fc2", kind: "dense", maps: 84, size: 1, relu: true },
    { name: "fc3", kind: "dense", maps: 10, size: 1, relu: false },
    { name: "softmax", kind: "softmax", maps: 10, size: 1 },
  ];

  const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  // Two letters are 12 bits: how many steps a weight is above −2048 of them.
  function unpack({ step, counts }) {
    return Float32Array.from({ length: counts.length / 2 }, (_, at) => {
      const [high, low] = [LETTERS.indexOf(counts[2 * at]), LETTERS.indexOf(counts[2 * at + 1])];
      return (64 * high + low - 2048) * step;
    });
  }

  const parameters = {};
  for (const [name, tensor] of Object.entries(live.weights)) parameters[name] = unpack(tensor);

  function padded(values, { maps, size }, padding) {
    const wide = size + 2 * padding;
    const result = new Float32Array(maps * wide * wide);
    for (let line = 0; line < maps * size; line++) {
      const [map, row] = [Math.floor(line / size), line % size];
      const start = (map * wide + row + padding) * wide + padding;
      result.set(values.subarray(line * size, (line + 1) * size), start);
    }
    return result;
  }

  function convolve(values, before, { name, maps, size, kernel, padding }) {
    const [weight, bias] = [parameters[`${name}.weight`], parameters[`${name}.bias`]];
    const input = padded(values, before, padding);
    const wide = before.size + 2 * padding;
    const output = new Float32Array(maps * size * size);
    let at = 0;
    for (let map = 0; map < maps; map++)
      for (let row = 0; row < size; row++)
        for (let column = 0; column < size; column++) {
          let sum = bias[map];
          let w = map * before.maps * kernel * kernel;
          for (let channel = 0; channel < before.maps; channel++)
            for (let i = 0; i < kernel; i++) {
              let x = (channel * wide + row + i) * wide + column;
              for (let j = 0; j < kernel; j++) sum += input[x++] * weight[w++];
            }
          output[at++] = Math.max(0, sum);
        }
    return output;
  }

  function windowOf(values, before, { map, row, column }) {
    const corner = (map * before.size + 2 * row) * before.size + 2 * column;
    return [0, 1, before.size, before.size + 1].map((step) => values[corner + step]);
  }

  function pool(values, before, { maps, size }) {
    const output = new Float32Array(maps * size * size);
    let at = 0;
    for (let map = 0; map < maps; map++)
      for (let row = 0; row < size; row++)
        for (let column = 0; column < size; column++)
          output[at++] = Math.max(...windowOf(values, before, { map, row, column }));
    return output;
  }

  function connect(values, _, { name, maps, relu }) {
    const [weight, bias] = [parameters[`${name}.weight`], parameters[`${name}.bias`]];
    return Float32Array.from({ length: maps }, (_, map) => {
      let sum = bias[map];
      for (let i = 0; i < values.length; i++) sum += values[i] * weight[map * values.length + i];
      return relu ? Math.max(0, sum) : sum;
    });
  }

  function softmax(logits) {
    const greatest = Math.max(...logits);
    const powers = Array.from(logits, (logit) => Math.exp(logit - greatest));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / sum);
  }

  const FORWARD = { conv: convolve, pool, dense: connect, softmax };

  // 784 bytes, row by row → the values of every layer, by its name.
  function forward(bytes) {
    let values = Float32Array.from(bytes, (byte) => byte / 255);
    const all = { image: values };
    LAYERS.slice(1).forEach((layer, index) => {
      values = FORWARD[layer.kind](values, LAYERS[index], layer);
      all[layer.name] = values;
    });
    return all;
  }

  // What a unit { map, row, column } of layer `index` is made of: for a convolution the patch, the kernel
  // and their sum for each channel, for a dense layer all inputs and weights as one channel.
  function explain(index, unit, all) {
    const [layer, before] = [LAYERS[index], LAYERS[index - 1]];
    const values = all[layer.name];
    const value = values[(unit.map * layer.size + unit.row) * layer.size + unit.column];
    if (layer.kind === "pool") return { value, window: windowOf(all[before.name], before, unit) };
    if (layer.kind !== "conv" && layer.kind !== "dense") return { value };
    const [weight, bias] = [parameters[`${layer.name}.weight`], parameters[`${layer.name}.bias`]];
    let patches = [all[before.name]];
    if (layer.kind === "conv") {
      const input = padded(all[before.name], before, layer.padding);
      const wide = before.size + 2 * layer.padding;
      patches = Array.from({ length: before.maps }, (_, channel) =>
        Array.from({ length: layer.kernel ** 2 }, (_, place) => {
          const row = unit.row + Math.floor(place / layer.kernel);
          return input[(channel * wide + row) * wide + unit.column + (place % layer.kernel)];
        }),
      );
    }
    const channels = patches.map((patch, channel) => {
      const start = (unit.map * patches.length + channel) * patch.length;
      const kernel = weight.subarray(start, start + patch.length);
      const products = Array.from(patch, (x, i) => x * kernel[i]);
      return { patch, kernel, products, sum: products.reduce((a, b) => a + b) };
    });
    const sum = channels.reduce((total, channel) => total + channel.sum, 0);
    return { value, channels, sum, bias: bias[unit.map], relu: layer.relu };
  }

  // The first and last row and column of the image that can reach a unit.
  function receptiveField(index, { row, column }) {
    let [top, bottom, left, right] = [row, row, column, column];
    for (let at = index; at > 0; at--) {
      const layer = LAYERS[at];
      if (layer.size === 1) return { top: 0, bottom: 27, left: 0, right: 27 };
      if (layer.kind === "pool") {
        [top, bottom, left, right] = [2 * top, 2 * bottom + 1, 2 * left, 2 * right + 1];
      } else {
        const reach = layer.kernel - 1 - layer.padding;
        [top, bottom, left, right] = [top - layer.padding, bottom + reach, left - layer.padding, right + reach];
      }
    }
    const inside = (place) => Math.min(27, Math.max(0, place));
    return { top: inside(top), bottom: inside(bottom), left: inside(left), right: inside(right) };
  }

  live.network = { LAYERS, forward, explain, receptiveField };
})();
