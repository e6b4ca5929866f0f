/* Seeded noise: the same seed gives the same picture. */
// needs: live
Live.random = (() => {
  /** Uniform numbers in (0, 1): mulberry32. @param {number} seed a whole number */
  const uniform = (seed) => {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 15), z | 1);
      z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
      return (((z ^ (z >>> 14)) >>> 0) + 0.5) / 2 ** 32;
    };
  };

  /** n draws from N(0, 1), by Box and Muller. @param {number} n @param {number} seed */
  const normal = (n, seed) => {
    const draw = uniform(seed);
    const values = new Float64Array(n);
    for (let i = 0; i < n; i += 2) {
      const radius = Math.sqrt(-2 * Math.log(draw()));
      const angle = 2 * Math.PI * draw();
      values[i] = radius * Math.cos(angle);
      if (i + 1 < n) values[i + 1] = radius * Math.sin(angle);
    }
    return values;
  };

  return { uniform, normal };
})();
