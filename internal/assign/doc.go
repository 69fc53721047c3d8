// Package assign shares the partitions of a role out among the members of its
// group: who keeps what, who gives up what, who gets it.
//
// It promises that every partition has exactly one member; that two members' shares
// differ by one partition at most; that as many partitions as these two allow stay
// where they are, and what is where is decided by the newest claim; and that every
// member that does the sum gets the same result, whatever the order it heard the
// others in. Where there is a choice, a member's partitions of one topic are few.
//
// Claims and shares look on the wire as those of Kafka's own consumers do, so that
// its tools can show who works on what. A decoder takes no other bytes than those
// its encoder writes.
//
// Start reading at [Share].
package assign
