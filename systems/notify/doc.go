// Package notify is the Portos notification system: clients subscribe over a hub to what happens to resources, publishers tell
// it over REST or in Go, and webhooks hear the same. docs/notify.md describes it for its users.
//
//	POST /api/v1/notifications ─▶ publish.go ─▶ index.go ──▶ OnEvent of every connection that matches, once
//	System.Publish              checked, given  who wants     └─▶ courier.go ─▶ webhooks, stored, tried again, parked
//	licence activated           its ca and id   this?
//	                                │
//	                                └─ node.go ─▶ backplane ─▶ the same on every other node
//
// Every node matches a notification against its own connections; the backplane carries each notification once. What must
// survive a restart is in the store: sessions, the licence, webhooks and what they have not got yet, references of publishers,
// and, where it is turned on, the notifications that clients who are away will want.
package notify
