// Package config declares every knob once, with its default, its limit and a
// sentence, and reads it from a YAML file, the environment (CLICKAGG_…) and
// flags, in rising order of precedence. It is the only room that knows viper.
//
// It promises that a key nobody knows, a number where a duration is meant and a
// broken relation between two knobs are refused, all faults at once, each with
// its dotted path. The reference page, the example file and `config print` are
// made from the same declarations; start reading at [Config].
package config
