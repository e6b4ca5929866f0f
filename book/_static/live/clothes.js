/* Two denoisers of clothes: the network, and the perfect one of the pictures that come with
   the course. Both answer in their own time, so the chain waits for them. */
// needs: live load network parameterization oracle sampling
Live.clothes = (() => {
  /** @typedef {ReturnType<typeof Live.schedules.make>} Schedule */
  /** @typedef {(x: Float64Array, t: number) => Promise<Float64Array>} Denoise */

  /** Pixels in [-1, 1], from bytes in base64. @param {string} bytes */
  const decode = (bytes) => {
    const text = atob(bytes);
    return new Float64Array(text.length).map((_, i) => text.charCodeAt(i) / 127.5 - 1);
  };

  /** Loads both, a few megabytes, and starts the worker. */
  const load = async () => {
    const [packed, { bytes, shape }] = await Promise.all([
      /** @type {Promise<typeof Live.data.fashion_mnist>} */ (
        Live.load("fashion_mnist")
      ),
      /** @type {Promise<typeof Live.data.held_out>} */ (Live.load("held_out")),
    ]);
    const schedule = Live.schedules.make(packed.schedule);
    const network = Live.network.start(packed);
    const pixels = decode(bytes);
    const size = pixels.length / shape[0];
    const known = Array.from({ length: shape[0] }, (_, i) =>
      pixels.subarray(i * size, (i + 1) * size),
    );
    const mixture = Live.oracle.GaussianMixture.ofPoints(known.map((one) => [...one]));
    return {
      schedule,
      known,
      /** @param {number} limit of x̂_0 @returns {Denoise} */
      trained: (limit) => async (x, t) => {
        const v = await network(x, t);
        return Live.parameterization.clip(
          Live.parameterization.x0FromV(schedule, x, t, v),
          limit,
        );
      },
      /** @type {Denoise} */
      perfect: async (x, t) => mixture.x0Mean(schedule, x, t),
    };
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
    const far = known.map((one) => one.reduce((sum, y, i) => sum + (x[i] - y) ** 2, 0));
    const least = Math.min(...far);
    return { index: far.indexOf(least), distance: Math.sqrt(least / x.length) };
  };

  return { load, reverseProcess, nearest };
})();
