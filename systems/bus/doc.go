// Package bus carries messages between services: a message is kept on disk until every queue that wants its topic has done its
// work with it, whatever stops meanwhile. It stands on NATS JetStream, which runs inside the process by default, with its files
// in the data folder, or elsewhere by URL. Both are the same code: nothing goes past JetStream, not even between two services of
// one process.
//
//	b, err := bus.Open(ctx, bus.Config{Dir: dir, Name: "economy"}, queues...)
//	err = b.Publish(ctx, &bus.Message{ID: id, Topic: "GrantItems", Body: body})     // returns when it is on the disk
//	c, err := b.Consume("inventory", nil, func(ctx context.Context, batch []*bus.Delivery) { … d.Ack() … })
//
// What is promised: a message whose Publish returned nil reaches each queue of its topic at least once; the same id published
// again within two minutes is the same message. What is not: exactly once, and order after a failure. So receivers remember what they
// have done (package box, next door), and nobody relies on the order of two topics.
//
// A queue is declared by name with its topics, by every process and before anything is published, whether or not its service
// runs there: so a message waits for a service that was never started.
package bus
