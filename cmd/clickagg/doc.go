// Command clickagg counts ad clicks exactly. This directory is the command tree
// and the wiring of the roles (roles.go); what they do lives in the rooms.
package main
