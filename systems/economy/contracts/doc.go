// Package contracts holds what the services of Play Economy say to each other, and nothing else: they share no other type. Names and
// JSON members are those of the original. What the original does not have is marked "ours" in its comment.
//
// Commands and their answers have the id of their purchase as key; events about an item or an account carry a version, for they
// may arrive in another order than they were sent: a copy takes only what is newer than what it has.
package contracts
