// Package pageclient is the small SignalR client of the pages that the binary serves: an ES module without a build step. It negotiates,
// speaks the JSON protocol over WebSockets, server-sent events or long polling, and reconnects.
package pageclient

import _ "embed" // signalr.js

//go:embed signalr.js
var source string

// Name is the name of the module's file.
const Name = "signalr.js"

// Source returns the text of the module. It exports the class Hub.
func Source() string { return source }
