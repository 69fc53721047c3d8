// Package e2e tests the real binary as its users run it: started, fed, killed,
// asked. Nothing here is simulated; internal/sim plays what cannot be timed here.
package e2e
