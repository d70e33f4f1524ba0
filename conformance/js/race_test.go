//go:build race

package js_test

// The server under test is built with the race detector too.
const raceDetector = true
