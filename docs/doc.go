// Package docs holds the pages people read, so that the program can quote them: what
// a command says of a reject reason is what the manual says. Start reading at [Section].
package docs
