package signalr

import (
	"net/http"
	"strconv"
)

// Sentences of ASP.NET Core that users search for.
const (
	textIDRequired    = "Connection ID required"
	textNoConnection  = "No Connection with that ID"
	textNoTransport   = " transport not supported by this end point type"
	textOtherTranport = "Cannot change transports mid-connection"
	textPostWebSocket = "POST requests are not allowed for WebSocket connections."
	textDelete        = "Cannot terminate this connection using the DELETE endpoint."
	textUserChanged   = "The user associated with this connection changed."
)

// answer writes a whole response. An empty text is Content-Length 0, with the content type of the real server.
func answer(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if text != "" {
		w.Write([]byte(text))
	}
}

// answerBare is answer without a content type, for what the real server refuses before its endpoint runs.
func answerBare(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h["Content-Type"] = nil
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if text != "" {
		w.Write([]byte(text))
	}
}

func answerJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

// noCache are the headers of every answer to a poll.
func noCache(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "Thu, 01 Jan 1970 00:00:00 GMT")
}
