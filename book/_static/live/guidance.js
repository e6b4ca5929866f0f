/* Guidance, as in ddpm_course/guidance.py. */
// needs: live sampling
Live.guidance = (() => {
  /** @typedef {(x: Float64Array, t: number) => Float64Array} Denoise */

  /** x̂_0(∅) + w (x̂_0(y) − x̂_0(∅)), a denoiser.
   *  @param {Denoise} told @param {Denoise} untold
   *  @param {number} w 0 is `untold`, 1 is `told`
   *  @param {number[] | null} times first and last at which to guide; `told` answers else
   *  @returns {Denoise} */
  const guided = (told, untold, w, times = null) => {
    return (x, t) => {
      const isInside = !times || (times[0] <= t && t <= times[1]);
      const x0Told = told(x, t);
      if (!isInside || w === 1) return x0Told;
      const x0Untold = untold(x, t);
      return x0Untold.map((x0, i) => x0 + w * (x0Told[i] - x0));
    };
  };

  return { guided };
})();
