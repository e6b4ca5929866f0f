// needs: live
// Made by book/live_data.py.
Live.data.settings = {
 "T": 1000,
 "schedules": {
  "linear": {
   "beta_1": 0.0001,
   "beta_T": 0.02
  },
  "quadratic": {
   "beta_1": 0.0001,
   "beta_T": 0.02
  },
  "cosine": {
   "s": 0.008,
   "max_beta": 0.999
  },
  "sigmoid": {
   "beta_1": 0.0001,
   "beta_T": 0.02,
   "steepness": 6.0
  }
 },
 "max_final_alpha_bar": 0.01,
 "short": {
  "name": "linear",
  "T": 20,
  "beta_1": 0.005,
  "beta_T": 0.5
 }
};
