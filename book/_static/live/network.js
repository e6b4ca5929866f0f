/* The network in a worker, so that the page never waits for it. */
// needs: unet
Live.network = (() => {
  /** What the worker does: unpack the network once, then answer each question. */
  const serve = (/** @type {typeof Live.unet} */ { unpack, forward }) => {
    /** @type {(x: Float32Array, side: number, t: number, label: number) => Float32Array} */
    let answer;
    onmessage = ({ data: [packed, x, side, t, label] }) => {
      if (packed) {
        const network = unpack(packed);
        answer = (values, side, t, label) =>
          forward(network, packed.patch, { values, channels: 1, side }, t, label)
            .values;
      } else postMessage(answer(x, side, t, label));
    };
  };

  /** A worker that holds a network: (x, t, label) → its answer.
   *  Over file:// a worker can't read files, so it's made of the text of functions.
   *  @param {Packed} packed */
  const start = (packed) => {
    const text = `(${serve})((${Live.unet.code})((${Live.layers.code})()))`;
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const worker = new Worker(address);
    worker.postMessage([packed]);
    /** Those who wait for an answer, in the order of their questions.
     *  @type {{resolve: (answer: Float32Array) => void, reject: (e: Error) => void}[]} */
    const waiting = [];
    worker.onmessage = ({ data }) => waiting.shift()?.resolve(data);
    worker.onerror = ({ message }) => waiting.shift()?.reject(new Error(message));
    /** @param {Float64Array} x @param {number} t @param {number} label
     *  @returns {Promise<Float32Array>} */
    return (x, t, label = -1) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        const side = Math.sqrt(x.length);
        worker.postMessage([null, Float32Array.from(x), side, t, label]);
      });
  };

  return { start };
})();
