// Package ops is what every process needs to be run by people: its log, the
// lock on its data directory and who it is there, metrics, health and profiles on
// a listener of their own, what it tells systemd, and what build it is.
package ops
