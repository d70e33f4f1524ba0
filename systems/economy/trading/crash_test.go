package trading_test

const crashIn = "TRADING_TEST_CRASH_IN"

func crashing() {}
