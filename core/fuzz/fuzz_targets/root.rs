#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tagtrust_fuzz::root(data);
});
