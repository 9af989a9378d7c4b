// Numbers as pictures: ink for what is never negative, dark to light for what has a sign (it survives
// grey paper), and the maps of a layer side by side.
(() => {
  const live = (window.live ??= {});
  const DARK_PAGE = { paper: [18, 23, 30], ink: [244, 244, 240] };
  const LIGHT_PAGE = { paper: [255, 255, 255], ink: [17, 17, 17] };
  const [NEGATIVE, ZERO, POSITIVE] = [[0, 45, 105], [128, 128, 122], [255, 233, 80]];
  const GAP = 6;
  const COLUMNS = { 1: 1, 6: 3, 10: 5, 16: 4, 84: 12, 120: 12 }; // by the number of maps
  const WIDTH = 684; // of the widest mosaic, in dots of a canvas

  const page = () => (document.documentElement.dataset.theme === "dark" ? DARK_PAGE : LIGHT_PAGE);
  const mix = (from, to, share) => from.map((value, i) => Math.round(value + share * (to[i] - value)));
  const clamp = (share) => Math.min(1, Math.max(0, share || 0));
  const css = (colour) => `rgb(${colour.join(" ")})`;

  const ink = (share) => mix(page().paper, page().ink, clamp(share));
  const signed = (share) => mix(ZERO, share < 0 ? NEGATIVE : POSITIVE, clamp(Math.abs(share)));
  const readable = ([r, g, b]) => (0.3 * r + 0.59 * g + 0.11 * b > 117 ? "#000" : "#fff");

  const scratch = document.createElement("canvas").getContext("2d");

  // Paint size × size values as squares of `cell` dots.
  function grid(context, values, size, { x = 0, y = 0, cell = 1, colour = ink, most = 1 } = {}) {
    scratch.canvas.width = scratch.canvas.height = size;
    const image = scratch.createImageData(size, size);
    values.forEach((value, at) => image.data.set([...colour(value / most), 255], 4 * at));
    scratch.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(scratch.canvas, x, y, size * cell, size * cell);
  }

  // Fill a square canvas with one image.
  function image(canvas, values, size, options = {}) {
    const side = Math.floor(canvas.width / size) * size;
    canvas.width = canvas.height = side;
    grid(canvas.getContext("2d"), values, size, { cell: side / size, ...options });
  }

  // Where each map of a layer stands in its mosaic.
  function mosaic({ maps, size }) {
    const columns = COLUMNS[maps];
    const cell = Math.floor((WIDTH - GAP * (columns - 1)) / columns / size);
    const step = size * cell + GAP;
    const place = (map) => ({ x: (map % columns) * step, y: Math.floor(map / columns) * step });
    const [width, height] = [columns * step - GAP, Math.ceil(maps / columns) * step - GAP];
    return { columns, cell, step, place, width, height };
  }

  // Paint all maps of a layer on one scale, and mark a unit.
  function layer(canvas, shape, values, { unit, texts } = {}) {
    const { maps, size } = shape;
    const { cell, place, width, height } = mosaic(shape);
    const most = Math.max(...values.map(Math.abs)) || 1;
    const colour = values.some((value) => value < 0) ? signed : ink;
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    for (let map = 0; map < maps; map++) {
      const part = values.slice(map * size * size, (map + 1) * size * size);
      grid(context, part, size, { ...place(map), cell, colour, most });
      if (!texts) continue;
      const { x, y } = place(map);
      context.fillStyle = readable(colour(part[0] / most));
      context.font = `${cell / 2.5}px system-ui, sans-serif`;
      [context.textAlign, context.textBaseline] = ["center", "middle"];
      context.fillText(texts[map], x + cell / 2, y + cell / 2);
    }
    if (!unit) return;
    const { x, y } = place(unit.map);
    frame(context, x + unit.column * cell, y + unit.row * cell, cell, cell);
  }

  // An orange frame with a halo, so that it shows on any ground and in grey.
  function frame(context, x, y, width, height) {
    const styles = [[page().paper, 12], [page().ink, 9], [[230, 96, 0], 5]];
    for (const [colour, line] of styles) {
      [context.strokeStyle, context.lineWidth] = [css(colour), line];
      context.strokeRect(x - 2, y - 2, width + 4, height + 4);
    }
  }

  live.paint = { css, ink, signed, readable, image, mosaic, layer, frame };
})();
