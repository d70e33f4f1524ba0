// Package bench is the load tool of the hubbub command: it puts a known load on any SignalR server, counts what was lost, doubled or
// out of order beside every speed, and measures the limit of the machine (one write(2) a message over plain TCP) in the same run.
//
// A run has a parent and one or more workers, which talk over a pipe: the parent gives every worker its share of the connections,
// says when to begin and when to let go, and samples the CPU time and memory of the server meanwhile. With one worker the pipe stays
// inside the process. Latencies are counted from the scheduled time of a message, so a load that falls behind is seen as latency.
package bench
