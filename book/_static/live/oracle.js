/* The exact denoiser, as in ddpm_course/oracle.py: for a mixture of Gaussians, E[x_0 | x_t]
   and the density of x_t have closed forms. Points lie one after the other in one array:
   n points of D coordinates are n D numbers. */
// needs: live random schedules
Live.oracle = (() => {
  /** @typedef {ReturnType<typeof Live.schedules.make>} Schedule */

  /** The density Σ_k w_k N(m_k, s_k² I), and what follows when it diffuses. */
  class GaussianMixture {
    /** @param {number[]} weights @param {number[][]} means
     *  @param {number[]} stds ≥ 0; 0 makes a component a point */
    constructor(weights, means, stds) {
      this.weights = weights;
      this.means = means;
      this.stds = stds;
      this.K = weights.length;
      this.D = means[0].length;
    }

    /** A finite data set, every point equally likely. @param {number[][]} points */
    static ofPoints(points) {
      const { length } = points;
      return new GaussianMixture(
        points.map(() => 1 / length),
        points,
        points.map(() => 0),
      );
    }

    /** n draws of x_0. @param {number} n @param {number} seed */
    sample(n, seed) {
      const { D, K, weights, means, stds } = this;
      const uniform = Live.random.uniform(seed);
      const eps = Live.random.normal(n * D, seed + 1);
      const x0 = new Float64Array(n * D);
      for (let i = 0; i < n; i++) {
        let k = 0;
        for (let u = uniform(); k < K - 1 && u >= weights[k]; k++) u -= weights[k];
        for (let d = 0; d < D; d++)
          x0[i * D + d] = means[k][d] + stds[k] * eps[i * D + d];
      }
      return x0;
    }

    /** v_k, the variance of x_t in component k. @param {number} abar */
    variances(abar) {
      return this.stds.map((std) => abar * std ** 2 + 1 - abar);
    }

    /** Calls `visit(i, logJoint, largest)` for each point, with log w_k N(x; √ᾱ m_k, v_k I)
     *  of all k and the largest of them.
     *  @param {number} abar @param {Float64Array} x
     *  @param {(i: number, logJoint: Float64Array, largest: number) => void} visit */
    each(abar, x, visit) {
      const { K, D, means, weights } = this;
      const signal = Math.sqrt(abar);
      const v = this.variances(abar);
      const level = v.map(
        (vk, k) => Math.log(weights[k]) - (D * Math.log(2 * Math.PI * vk)) / 2,
      );
      const logJoint = new Float64Array(K);
      for (let i = 0; i * D < x.length; i++) {
        let largest = -Infinity;
        for (let k = 0; k < K; k++) {
          let square = 0;
          for (let d = 0; d < D; d++) {
            square += (x[i * D + d] - signal * means[k][d]) ** 2;
          }
          logJoint[k] = level[k] - square / (2 * v[k]);
          if (logJoint[k] > largest) largest = logJoint[k];
        }
        visit(i, logJoint, largest);
      }
    }

    /** log q(x_t) in nats. @param {Schedule} schedule @param {Float64Array} x
     *  @param {number} t 0 for that of the data, if no std is 0 */
    logProb(schedule, x, t) {
      const found = new Float64Array(x.length / this.D);
      this.each(schedule.alphaBar[t], x, (i, logJoint, largest) => {
        let sum = 0;
        for (const one of logJoint) sum += Math.exp(one - largest);
        found[i] = largest + Math.log(sum);
      });
      return found;
    }

    /** r_k = P(k | x_t), K numbers for each point. @param {Schedule} schedule
     *  @param {Float64Array} x @param {number} t */
    shares(schedule, x, t) {
      const { K, D } = this;
      const r = new Float64Array((x.length / D) * K);
      this.each(schedule.alphaBar[t], x, (i, logJoint, largest) => {
        let sum = 0;
        for (let k = 0; k < K; k++) {
          r[i * K + k] = Math.exp(logJoint[k] - largest);
          sum += r[i * K + k];
        }
        for (let k = 0; k < K; k++) r[i * K + k] /= sum;
      });
      return r;
    }

    /** E[x_0 | x_t] = Σ_k r_k ((1 − ᾱ_t) m_k + √ᾱ_t s_k² x_t) / v_k.
     *  @param {Schedule} schedule @param {Float64Array} x @param {number} t */
    x0Mean(schedule, x, t) {
      const { K, D, means, stds } = this;
      const abar = schedule.alphaBar[t];
      const signal = Math.sqrt(abar);
      const v = this.variances(abar);
      const guess = new Float64Array(x.length);
      this.each(abar, x, (i, logJoint, largest) => {
        let sum = 0;
        let onXt = 0;
        for (let k = 0; k < K; k++) {
          const r = Math.exp(logJoint[k] - largest);
          sum += r;
          onXt += (r / v[k]) * signal * stds[k] ** 2;
          const onMean = (r / v[k]) * (1 - abar);
          for (let d = 0; d < D; d++) guess[i * D + d] += onMean * means[k][d];
        }
        for (let d = 0; d < D; d++) {
          guess[i * D + d] = (guess[i * D + d] + onXt * x[i * D + d]) / sum;
        }
      });
      return guess;
    }

    /** `x0Mean` as a function of x_t and t, all that samplers need.
     *  @param {Schedule} schedule
     *  @returns {(x: Float64Array, t: number) => Float64Array} */
    denoiser(schedule) {
      return (x, t) => this.x0Mean(schedule, x, t);
    }
  }

  return { GaussianMixture };
})();
