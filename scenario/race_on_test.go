//go:build race

package scenario

// slower is by how much deadlines are longer in this build: the race detector
// costs a multiple of the time.
const slower = 3
