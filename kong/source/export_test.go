package source

// ConfirmEvery is confirmEvery.
const ConfirmEvery = confirmEvery
