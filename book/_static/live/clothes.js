/* Two denoisers of clothes: the network, and the perfect one of the pictures that come with
   the course. Both answer in their own time, so the chain waits for them. */
// needs: live load network parameterization guidance oracle
Live.clothes = (() => {
  /** @typedef {ReturnType<typeof Live.schedules.make>} Schedule */
  /** @typedef {(x: Float64Array, t: number) => Promise<Float64Array>} Denoise */
  /** @typedef {ReturnType<typeof Live.network.start>} Ask */
  /** @type {Record<string, Ask>} */
  const workers = {};

  /** Pixels in [-1, 1], from bytes in base64. @param {string} bytes */
  const decode = (bytes) => {
    const text = atob(bytes);
    return new Float64Array(text.length).map((_, i) => text.charCodeAt(i) / 127.5 - 1);
  };

  /** A network by the name of its data, in a worker that is started once.
   *  @type {(name: "fashion_mnist" | "fashion_mnist_by_class") => Promise<Ask>} */
  const network = async (name) =>
    (workers[name] ??= Live.network.start(await Live.load(name)));

  /** The network as a function (x, t) → x̂_0. With a label it's another network, which
   *  takes one, and guidance has the scale w. @param {Schedule} schedule
   *  @param {number} limit of x̂_0 @param {number} label -1 for none @param {number} w
   *  @returns {Promise<Denoise>} */
  const trained = async (schedule, limit, label = -1, w = 1) => {
    const ask = await network(label < 0 ? "fashion_mnist" : "fashion_mnist_by_class");
    const { x0FromV, clip } = Live.parameterization;
    const guess = async (
      /** @type {Float64Array} */ x,
      /** @type {number} */ t,
      /** @type {number} */ label,
    ) => clip(x0FromV(schedule, x, t, await ask(x, t, label)), limit);
    return async (x, t) => {
      const told = await guess(x, t, label);
      if (label < 0 || w === 1) return told;
      const untold = await guess(x, t, -1);
      const both = Live.guidance.guided(
        () => told,
        () => untold,
        w,
      );
      return clip(both(x, t), limit);
    };
  };

  /** The pictures that come with the course. @returns {Promise<Float64Array[]>} */
  const pictures = async () => {
    const { bytes, shape } = await Live.load("held_out");
    const pixels = decode(bytes);
    const size = pixels.length / shape[0];
    return Array.from({ length: shape[0] }, (_, i) =>
      pixels.subarray(i * size, (i + 1) * size),
    );
  };

  /** Their exact denoiser. @param {Schedule} schedule @param {Float64Array[]} known
   *  @returns {Denoise} */
  const perfect = (schedule, known) => {
    const points = known.map((one) => [...one]);
    const mixture = Live.oracle.GaussianMixture.ofPoints(points);
    return async (x, t) => mixture.x0Mean(schedule, x, t);
  };

  /** `Live.sampling.reverseProcess` for a denoiser that takes its time; yields the guess
   *  too. @param {Denoise} denoiser @param {Schedule} schedule @param {Float64Array} xT
   *  @param {{step: any, times: number[], noise: (i: number) => Float64Array}} options */
  const reverseProcess = async function* (
    denoiser,
    schedule,
    xT,
    { step, times, noise },
  ) {
    let x = xT;
    for (let i = 0; i + 1 < times.length; i++) {
      const [t, s] = [times[i], times[i + 1]];
      const guess = await denoiser(x, t);
      const z = s > 0 ? noise(i) : new Float64Array(x.length);
      x = step(schedule, x, guess, t, s, z);
      yield { x, guess };
    }
  };

  /** The nearest of the pictures, and how far it is: root mean square over the pixels.
   *  @param {Float64Array} x @param {Float64Array[]} known */
  const nearest = (x, known) => {
    let [least, image] = [Infinity, x];
    for (const one of known) {
      let square = 0;
      for (let i = 0; i < x.length; i++) square += (x[i] - one[i]) ** 2;
      if (square < least) [least, image] = [square, one];
    }
    return { image, distance: Math.sqrt(least / x.length) };
  };

  return { pictures, perfect, trained, reverseProcess, nearest };
})();
