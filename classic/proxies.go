package classic

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const proxiesDisabled = "throw new Error('SignalR: JavaScript Hub proxy generation has been disabled.');"

// serveProxies answers with the script that gives a page one object for each hub: $.connection.name.server has its methods,
// $.connection.name.client takes the page's functions.
func (x *exchange) serveProxies() {
	h := x.w.Header()
	h.Set("Content-Type", "application/javascript; charset=UTF-8")
	if x.e.opts.DisableJavaScriptProxies {
		h.Set("Content-Length", strconv.Itoa(len(proxiesDisabled)))
		x.w.Write([]byte(proxiesDisabled))
		return
	}
	base := x.e.opts.URL
	if base == "" {
		base = strings.TrimSuffix(x.r.URL.Path, "/")
		base = base[:len(base)-len(x.command)-1]
	}
	script := proxyScript(base, x.e.hubs)
	sum := sha256.Sum256([]byte(script))
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h.Set("ETag", tag)
	h.Set("Cache-Control", "no-cache")
	if x.r.Header.Get("If-None-Match") == tag {
		x.w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(script)))
	x.w.Write([]byte(script))
}

// camel is a name as the script has it: its first letter small.
func camel(name string) string {
	r, n := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(r)) + name[n:]
}

// quoted is a text as a JavaScript literal that may stand in a page.
func quoted(s string) string { return string(escapeMarkup(nil, appendText(nil, s))) }

// proxyScript writes the script (SignalR 2.x, "generated proxy"). It needs jQuery and jquery.signalR on the page before it.
func proxyScript(base string, hubs []*service) string {
	var b strings.Builder
	b.WriteString(`(function ($, window) {
  "use strict";
  if (typeof $.signalR !== "function") {
    throw new Error("SignalR: SignalR is not loaded. Please ensure jquery.signalR-x.js is referenced before ~/signalr/js.");
  }
  var signalR = $.signalR;

  // each handler of the page is called with the client object as this
  function wrapper(proxy, handler) {
    return function () { handler.apply(proxy, $.makeArray(arguments)); };
  }

  // subscribes or unsubscribes every function that the page has put into a client object
  function eachHandler(connection, subscribe) {
    Object.keys(connection).forEach(function (key) {
      var hub = connection[key];
      if (!hub || !hub.hubName || !hub.client) { return; }
      Object.keys(hub.client).forEach(function (name) {
        var handler = hub.client[name];
        if (typeof handler !== "function") { return; }
        if (subscribe) {
          hub.on(name, wrapper(hub, handler), handler);
        } else {
          hub.off(name, handler);
        }
      });
    });
  }

  $.hubConnection.prototype.createHubProxies = function () {
    var proxies = {};
    this.starting(function () {
      eachHandler(proxies, true);
      this._registerSubscribedHubs();
    }).disconnected(function () {
      eachHandler(proxies, false);
    });
`)
	for _, s := range hubs {
		key := quoted(camel(s.name))
		b.WriteString("\n    proxies[" + key + "] = this.createHubProxy(" + key + ");\n")
		b.WriteString("    proxies[" + key + "].client = {};\n")
		b.WriteString("    proxies[" + key + "].server = {")
		names := s.hub.Methods()
		slices.Sort(names)
		for i, name := range names {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString("\n      " + quoted(camel(name)) + ": function () { return proxies[" + key + "].invoke.apply(proxies[" + key +
				"], [" + quoted(name) + "].concat($.makeArray(arguments))); }")
		}
		b.WriteString("\n    };\n")
	}
	b.WriteString(`
    return proxies;
  };

  signalR.hub = $.hubConnection(` + quoted(base) + `, { useDefaultPath: false });
  $.extend(signalR, signalR.hub.createHubProxies());
}(window.jQuery, window));
`)
	return b.String()
}
