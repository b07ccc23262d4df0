//go:build !race

package scenario

// slower is by how much deadlines are longer in this build.
const slower = 1
