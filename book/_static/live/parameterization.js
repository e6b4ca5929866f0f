/* What a prediction says about x_0, as in ddpm_course/parameterization.py. */
// needs: live schedules
Live.parameterization = (() => {
  /** x_0 from v, which is √ᾱ_t ε − √(1 − ᾱ_t) x_0.
   *  @param {ReturnType<typeof Live.schedules.make>} schedule @param {Float64Array} xt
   *  @param {number} t @param {ArrayLike<number>} v */
  const x0FromV = ({ alphaBar }, xt, t, v) => {
    const [signal, noise] = [Math.sqrt(alphaBar[t]), Math.sqrt(1 - alphaBar[t])];
    return xt.map((x, i) => signal * x - noise * v[i]);
  };

  /** Into the range of the data. @param {Float64Array} x0Hat @param {number} limit */
  const clip = (x0Hat, limit) => x0Hat.map((x) => Math.min(Math.max(x, -limit), limit));

  return { x0FromV, clip };
})();
