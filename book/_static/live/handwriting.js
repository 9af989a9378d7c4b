// From ink on paper to the 28 × 28 bytes of an MNIST image. The paper is a square of SIDE × SIDE
// fractions, DOTS to each pixel of the image; places on it are given in pixels of the image.
(() => {
  const live = (window.live ??= {});
  const DOTS = 8;
  const SIDE = 28 * DOTS;
  const PEN = 1.2; // radius, in pixels of the image: what MNIST's pens leave after scaling
  const HOME = { right: 0, down: 0, size: 1 };

  const blank = () => new Float32Array(SIDE * SIDE);

  // Where a point goes that is moved, and scaled about the middle.
  function moved([x, y], { right, down, size }) {
    return [14 + size * (x - 14) + right, 14 + size * (y - 14) + down];
  }

  // Draw a line between two points.
  function line(paper, from, to, radius = PEN) {
    const [x0, y0, x1, y1, r] = [...from, ...to, radius].map((length) => length * DOTS);
    const length2 = (x1 - x0) ** 2 + (y1 - y0) ** 2;
    const least = (a, b) => Math.max(0, Math.floor(Math.min(a, b) - r - 1));
    const most = (a, b) => Math.min(SIDE - 1, Math.ceil(Math.max(a, b) + r + 1));
    for (let row = least(y0, y1); row <= most(y0, y1); row++)
      for (let column = least(x0, x1); column <= most(x0, x1); column++) {
        const [x, y] = [column + 0.5 - x0, row + 0.5 - y0];
        const along = length2 ? (x * (x1 - x0) + y * (y1 - y0)) / length2 : 0;
        const t = Math.min(1, Math.max(0, along));
        const away = Math.hypot(x - t * (x1 - x0), y - t * (y1 - y0));
        const ink = Math.min(1, Math.max(0, r + 0.5 - away));
        const at = row * SIDE + column;
        if (ink > paper[at]) paper[at] = ink;
      }
  }

  // Strokes, each a list of points, on a new paper.
  function writeStrokes(strokes, move = HOME) {
    const paper = blank();
    for (const stroke of strokes) {
      const points = stroke.map((point) => moved(point, move));
      points.forEach((point, i) => line(paper, points[Math.max(0, i - 1)], point, PEN * move.size));
    }
    return paper;
  }

  // An image's bytes on a new paper.
  function writeImage(bytes, { right, down, size } = HOME) {
    const paper = blank();
    const from = Array.from({ length: SIDE }, (_, dot) => (dot + 0.5) / DOTS - 14);
    const columns = from.map((x) => Math.floor((x - right) / size + 14));
    const rows = from.map((y) => Math.floor((y - down) / size + 14));
    for (let row = 0; row < SIDE; row++) {
      if (rows[row] < 0 || rows[row] > 27) continue;
      for (let column = 0; column < SIDE; column++) {
        const x = columns[column];
        if (x >= 0 && x <= 27) paper[row * SIDE + column] = bytes[rows[row] * 28 + x] / 255;
      }
    }
    return paper;
  }

  // The mean ink of pixels `pixel` dots wide, `count` to a side, from dot (left, top) on.
  function average(paper, left, top, pixel, count) {
    const result = new Float32Array(count * count);
    for (let row = 0; row < count; row++)
      for (let column = 0; column < count; column++) {
        let sum = 0;
        for (let i = 0; i < DOTS; i++)
          for (let j = 0; j < DOTS; j++) {
            const y = Math.trunc(top + (row + (i + 0.5) / DOTS) * pixel);
            const x = Math.trunc(left + (column + (j + 0.5) / DOTS) * pixel);
            if (y < SIDE && x < SIDE) sum += paper[y * SIDE + x];
          }
        result[row * count + column] = sum / DOTS ** 2;
      }
    return result;
  }

  const toBytes = (fractions) => Uint8Array.from(fractions, (ink) => Math.round(255 * ink));

  // The whole paper, made small.
  function shrink(paper) {
    return toBytes(average(paper, 0, 0, DOTS, 28));
  }

  // As MNIST was made: the longer side of the ink fills 20 pixels, and whole steps take its centre of mass
  // to the middle.
  function normalise(paper) {
    let [top, bottom, left, right] = [SIDE, -1, SIDE, -1];
    for (let row = 0; row < SIDE; row++)
      for (let column = 0; column < SIDE; column++) {
        if (paper[row * SIDE + column] < 1 / 512) continue;
        bottom = row;
        if (row < top) top = row;
        if (column < left) left = column;
        if (column > right) right = column;
      }
    const image = new Float32Array(28 * 28);
    if (bottom < 0) return toBytes(image);
    const longer = Math.max(bottom - top, right - left) + 1;
    const box = average(paper, left, top, longer / 20, 20);
    let [mass, rows, columns] = [0, 0, 0];
    box.forEach((ink, at) => {
      mass += ink;
      rows += ink * Math.floor(at / 20);
      columns += ink * (at % 20);
    });
    const [down, across] = [Math.round(14 - rows / mass), Math.round(14 - columns / mass)];
    box.forEach((ink, at) => {
      const [row, column] = [Math.floor(at / 20) + down, (at % 20) + across];
      if (row >= 0 && row < 28 && column >= 0 && column < 28) image[row * 28 + column] = ink;
    });
    return toBytes(image);
  }

  // The test digits of digits.js, unpacked.
  const unpack = ({ index, label, pixels }) => {
    const packed = Uint8Array.from(atob(pixels), (letter) => letter.charCodeAt(0));
    const bytes = new Uint8Array(784);
    for (let from = 0, to = 0; from < packed.length; from++)
      if (packed[from]) bytes[to++] = packed[from];
      else to += packed[++from];
    return { index, label, bytes };
  };
  const ordinary = live.digits.ordinary.map(unpack);
  const errors = live.digits.errors.map(unpack);

  live.handwriting = { SIDE, HOME, moved, writeStrokes, writeImage, shrink, normalise, ordinary, errors };
})();
