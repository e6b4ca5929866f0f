/* The network, as in ddpm_course/unet.py: (x, t, label) → an image of the shape of x.
   Names of layers are those of its state_dict. */
// needs: live layers

/** Layers by name. @typedef {Record<string, Layer>} Network */
/** What book/live_data.py exports: the parameters' names and shapes, and their 16 bits.
 *  @typedef {{patch: number, parameters: string[], bytes: string}} Packed */

// A worker gets the code as text (network.js), so it uses nothing from outside.
Live.unet = ((code) => ({ ...code(Live.layers), code }))(
  (/** @type {Omit<typeof Live.layers, "code">} */ layers) => {
    const { map, add, concatenate, silu, conv, linear, groupNorm } = layers;
    const { twice, pixelUnshuffle, pixelShuffle } = layers;

    /** 16-bit floats: their exponent and fraction in the places of a 32-bit one, whose
     *  exponent has another zero. @param {Uint16Array} halves */
    const fromHalves = (halves) => {
      const bits = new Uint32Array(halves).map(
        (half) => ((half & 0x8000) << 16) | ((half & 0x7fff) << 13),
      );
      return new Float32Array(bits.buffer).map((value) => value * 2 ** 112);
    };

    /** The layers by name. @param {string[]} parameters "name shape" of each
     *  @param {Float32Array} values of all, in this order @returns {Network} */
    const assemble = (parameters, values) => {
      /** @type {Record<string, any>} */
      const network = {};
      let start = 0;
      for (const [full, ...sizes] of parameters.map((text) => text.split(" "))) {
        const [, name, last] = full.match(/(.+)\.(\w+)/) ?? [];
        const end = start + sizes.reduce((product, n) => product * +n, 1);
        const layer = (network[name] ??= { shape: sizes.map(Number) });
        layer[last] = values.subarray(start, end);
        start = end;
      }
      return network;
    };

    /** @param {Packed} packed */
    const unpack = ({ parameters, bytes }) => {
      const text = atob(bytes);
      const raw = new Uint8Array(text.length);
      for (let i = 0; i < raw.length; i++) raw[i] = text.charCodeAt(i);
      return assemble(parameters, fromHalves(new Uint16Array(raw.buffer)));
    };

    /** Sines and cosines of t. @param {number} t @param {number} dim */
    const timeEmbedding = (t, dim) => {
      const half = dim / 2;
      return new Float32Array(dim).map((_, i) => {
        const angle = t * Math.exp((-Math.log(10000) * (i % half)) / (half - 1));
        return i < half ? Math.sin(angle) : Math.cos(angle);
      });
    };

    /** x + f(x, time). @param {Network} net @param {string} name @param {Picture} x
     *  @param {Float32Array} time */
    const residualBlock = (net, name, x, time) => {
      let h = conv(
        net[`${name}.conv_1`],
        map(groupNorm(net[`${name}.norm_1`], x), silu),
      );
      const shift = linear(net[`${name}.time`], time);
      const pixels = h.side ** 2;
      h = map(h, (value, i) => value + shift[Math.floor(i / pixels)]);
      h = conv(net[`${name}.conv_2`], map(groupNorm(net[`${name}.norm_2`], h), silu));
      const skip = net[`${name}.skip`];
      return add(skip ? conv(skip, x) : x, h);
    };

    /** Every pixel looks at every other pixel. @param {Network} net @param {string} name
     *  @param {Picture} x @returns {Picture} */
    const selfAttention = (net, name, x) => {
      const { channels, side } = x;
      const pixels = side ** 2;
      const qkv = conv(net[`${name}.qkv`], groupNorm(net[`${name}.norm`], x)).values;
      const size = x.values.length;
      const values = new Float32Array(size);
      for (let i = 0; i < pixels; i++) {
        const scores = new Float64Array(pixels);
        for (let c = 0; c < size; c += pixels) {
          const q = qkv[c + i] / Math.sqrt(channels);
          for (let j = 0; j < pixels; j++) scores[j] += q * qkv[size + c + j];
        }
        const largest = Math.max(...scores);
        const shares = scores.map((score) => Math.exp(score - largest));
        const sum = shares.reduce((all, share) => all + share);
        for (let c = 0; c < size; c += pixels) {
          let h = 0;
          for (let j = 0; j < pixels; j++) h += shares[j] * qkv[2 * size + c + j];
          values[c + i] = h / sum;
        }
      }
      return add(x, conv(net[`${name}.out`], { values, channels, side }));
    };

    /** A residual block, followed by attention where there is one. @param {Network} net
     *  @param {string} name @param {Picture} x @param {Float32Array} time */
    const level = (net, name, x, time) => {
      const h = residualBlock(net, `${name}.block`, x, time);
      const hasAttention = `${name}.attention.qkv` in net;
      return hasAttention ? selfAttention(net, `${name}.attention`, h) : h;
    };

    /** The whole network. @param {Network} net @param {number} patch @param {Picture} x
     *  @param {number} t @param {number} label a class, or -1 for none */
    const forward = (net, patch, x, t, label = -1) => {
      const embedding = timeEmbedding(t, net.first.shape[0]);
      const hidden = linear(net["time.0"], embedding).map(silu);
      let time = linear(net["time.2"], hidden).map(silu);
      if (net.label) {
        const row = net.label.rows.subarray((label + 1) * time.length);
        time = time.map((value, i) => value + row[i]);
      }
      const names = Object.keys(net).map((name) => name.split(".", 2).join("."));
      const layers = (/** @type {string} */ part) =>
        [...new Set(names)].filter((name) => name.startsWith(`${part}.`));
      const isLevel = (/** @type {string} */ name) => `${name}.block.conv_1` in net;

      let h = conv(net.first, pixelUnshuffle(x, patch));
      const skips = [h];
      for (const name of layers("down")) {
        h = isLevel(name) ? level(net, name, h, time) : conv(net[`${name}.conv`], h, 2);
        skips.push(h);
      }
      for (const name of layers("middle")) h = level(net, name, h, time);
      for (const name of layers("up")) {
        if (isLevel(name)) {
          const skip = /** @type {Picture} */ (skips.pop());
          h = level(net, name, concatenate(h, skip), time);
        } else h = conv(net[`${name}.conv`], twice(h));
      }
      h = conv(net.last, map(groupNorm(net.norm, h), silu));
      return pixelShuffle(h, patch);
    };

    return { assemble, unpack, forward };
  },
);
