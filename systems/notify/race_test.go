//go:build race

package notify_test

// raceDetector says that tests run slowly.
const raceDetector = true
