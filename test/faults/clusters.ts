/** So many faults happen at once, each on servers that no other test uses meanwhile. */
export const faultClusters = 2;
