/* What the network is made of, as in torch.nn: layers, and what happens between them. */
// needs: live

/** An image: channels first, as high as it is wide.
 *  @typedef {{values: Float32Array, channels: number, side: number}} Picture */
/** Parameters by their last name (weight, bias, rows), and the shape of the weight.
 *  @typedef {Record<string, Float32Array> & {shape: number[]}} Layer */

// A worker gets the code as text (network.js), so it uses nothing from outside.
Live.layers = ((code) => ({ ...code(), code }))(() => {
  /** The same picture with other values.
   *  @param {Picture} x @param {(value: number, i: number) => number} f @returns {Picture} */
  const map = (x, f) => ({ ...x, values: x.values.map(f) });

  /** @param {Picture} x @param {Picture} y */
  const add = (x, y) => map(x, (value, i) => value + y.values[i]);

  /** @param {Picture} x @param {Picture} y @returns {Picture} */
  const concatenate = (x, y) => {
    const values = new Float32Array(x.values.length + y.values.length);
    values.set(x.values);
    values.set(y.values, x.values.length);
    return { values, channels: x.channels + y.channels, side: x.side };
  };

  /** @param {number} x */
  const silu = (x) => x / (1 + Math.exp(-x));

  /** Weights (rows, K) times columns (n, K), plus a bias for each row: (rows, n). Four
   *  rows and two columns at a time, so that each number is read less often.
   *  @param {Layer} layer @param {Float32Array} columns @param {number} n even */
  const multiply = ({ weight: w, bias, shape: [rows] }, columns, n) => {
    const K = w.length / rows;
    const product = new Float32Array(rows * n);
    for (let row = 0; row < rows; row += 4) {
      for (let column = 0; column < n; column += 2) {
        let a0 = bias[row];
        let b0 = bias[row + 1];
        let c0 = bias[row + 2];
        let d0 = bias[row + 3];
        let [a1, b1, c1, d1] = [a0, b0, c0, d0];
        const at = row * K;
        const left = column * K;
        for (let k = 0; k < K; k++) {
          const x0 = columns[left + k];
          const x1 = columns[left + K + k];
          const a = w[at + k];
          const b = w[at + K + k];
          const c = w[at + 2 * K + k];
          const d = w[at + 3 * K + k];
          a0 += a * x0;
          a1 += a * x1;
          b0 += b * x0;
          b1 += b * x1;
          c0 += c * x0;
          c1 += c * x1;
          d0 += d * x0;
          d1 += d * x1;
        }
        const to = row * n + column;
        [product[to], product[to + 1]] = [a0, a1];
        [product[to + n], product[to + n + 1]] = [b0, b1];
        [product[to + 2 * n], product[to + 2 * n + 1]] = [c0, c1];
        [product[to + 3 * n], product[to + 3 * n + 1]] = [d0, d1];
      }
    }
    return product;
  };

  /** A convolution that keeps the size, or divides it by the stride.
   *  @param {Layer} layer @param {Picture} x @returns {Picture} */
  const conv = (layer, { values, channels, side: from }, stride = 1) => {
    const [rows, , kernel] = layer.shape;
    const side = Math.ceil(from / stride);
    const pixels = side ** 2;
    const even = pixels + (pixels % 2);
    const columns = new Float32Array(even * channels * kernel ** 2);
    const reach = (kernel - 1) / 2;
    let k = 0; // each column: what one pixel of the result looks at
    for (let i = 0; i < pixels; i++) {
      const top = Math.floor(i / side) * stride - reach;
      const left = (i % side) * stride - reach;
      for (let channel = 0; channel < channels; channel++) {
        for (let y = top; y < top + kernel; y++) {
          for (let x = left; x < left + kernel; x++, k++) {
            const isInside = y >= 0 && y < from && x >= 0 && x < from;
            if (isInside) columns[k] = values[(channel * from + y) * from + x];
          }
        }
      }
    }
    const wide = multiply(layer, columns, even);
    if (even === pixels) return { values: wide, channels: rows, side };
    const narrow = new Float32Array(rows * pixels);
    for (let row = 0; row < rows; row++) {
      narrow.set(wide.subarray(row * even, row * even + pixels), row * pixels);
    }
    return { values: narrow, channels: rows, side };
  };

  /** @param {Layer} layer @param {Float32Array} x */
  const linear = ({ weight, bias }, x) =>
    bias.map((b, i) =>
      x.reduce((sum, value, k) => sum + weight[i * x.length + k] * value, b),
    );

  /** Mean 0 and variance 1 in each group of channels, then a scale and a shift.
   *  @param {Layer} layer @param {Picture} x */
  const groupNorm = ({ weight, bias }, x) => {
    let groups = Math.max(1, Math.min(32, Math.floor(x.channels / 4)));
    while (x.channels % groups) groups--;
    const [size, pixels] = [x.values.length / groups, x.side ** 2];
    const values = new Float32Array(x.values.length);
    for (let start = 0; start < values.length; start += size) {
      const group = x.values.subarray(start, start + size);
      const mean = group.reduce((sum, value) => sum + value, 0) / size;
      const variance =
        group.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size;
      const scale = 1 / Math.sqrt(variance + 1e-5);
      for (let i = start; i < start + size; i++) {
        const channel = Math.floor(i / pixels);
        values[i] = (x.values[i] - mean) * scale * weight[channel] + bias[channel];
      }
    }
    return { ...x, values };
  };

  /** Each pixel four times. @param {Picture} x @returns {Picture} */
  const twice = ({ values, channels, side }) => {
    const large = new Float32Array(4 * values.length).map((_, i) => {
      const [row, column] = [Math.floor(i / (2 * side)), i % (2 * side)];
      return values[(row >> 1) * side + (column >> 1)];
    });
    return { values: large, channels, side: 2 * side };
  };

  /** Squares with this side become the channels of one pixel. @param {Picture} x
   *  @param {number} patch @returns {Picture} */
  const pixelUnshuffle = (x, patch) => {
    const side = x.side / patch;
    const values = new Float32Array(x.values.length).map((_, i) => {
      const [row, column] = [Math.floor(i / side) % side, i % side];
      const part = Math.floor(i / side ** 2); // channel, row and column in the square
      const [channel, dy] = [
        Math.floor(part / patch ** 2),
        Math.floor(part / patch) % patch,
      ];
      const y = channel * x.side + row * patch + dy;
      return x.values[y * x.side + column * patch + (part % patch)];
    });
    return { values, channels: x.channels * patch ** 2, side };
  };

  /** The way back. @param {Picture} h @param {number} patch @returns {Picture} */
  const pixelShuffle = (h, patch) => {
    const [channels, side] = [h.channels / patch ** 2, h.side * patch];
    const places = Float32Array.from({ length: h.values.length }, (_, i) => i);
    const from = pixelUnshuffle({ values: places, channels, side }, patch).values;
    const values = new Float32Array(h.values.length);
    from.forEach((place, i) => (values[place] = h.values[i]));
    return { values, channels, side };
  };

  return {
    ...{ map, add, concatenate, silu, conv, linear, groupNorm },
    ...{ twice, pixelUnshuffle, pixelShuffle },
  };
});
