//! The numeric budgets of files, programs and pictures. Formats with a bound of their own keep it
//! beside their reader.

/// The budgets under which files, programs and pictures from outside are read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a source file.
    pub source_bytes: usize,
    /// Nesting of expressions.
    pub expression_depth: usize,
    /// Evaluation steps of one statement.
    pub fuel: u64,
    /// Elements of a list.
    pub list_len: usize,
    /// Values in a list, with those of its inner lists. A list that occurs twice is counted twice,
    /// as it is shown, saved and measured twice. 16 bytes of text count as one.
    pub list_values: u64,
    /// Nesting of lists.
    pub list_depth: usize,
    /// Bytes of a text that a program puts together.
    pub text_bytes: usize,
    /// Values of a list that are shown; `print` and `--json` write all.
    pub shown_values: usize,
    /// Bytes of tensors that one statement may need.
    pub tensor_bytes: u64,
    /// Pixels of a side of a picture.
    pub image_side: u32,
    /// Bytes of a decoded picture, and of a sheet of pictures.
    pub image_bytes: u64,
    /// Bytes of the pictures that one result shows, or one film holds.
    pub shown_bytes: u64,
    /// Bytes of a pickle outside its storages.
    pub pickle_bytes: u64,
    /// Opcodes of a pickle.
    pub pickle_ops: u64,
    /// Values on a pickle's stack.
    pub pickle_stack: usize,
    /// Entries of a pickle's memo.
    pub pickle_memo: usize,
    /// Nesting of a pickle's values, and of pickles in pickles.
    pub pickle_depth: usize,
    /// Bytes of a safetensors header.
    pub header_bytes: u64,
    /// Bytes of a model file.
    pub model_bytes: u64,
    /// Tensors of one file.
    pub tensors: usize,
    /// Dimensions of a tensor.
    pub rank: usize,
    /// Entries of a zip archive.
    pub zip_entries: usize,
    /// Entries of a tar archive.
    pub tar_entries: usize,
    /// Bytes of a file of labels, unpacked.
    pub label_bytes: u64,
    /// Bytes of the values that a journal keeps of one cell, before base64. A code in W+ of 18
    /// layers has 36 KiB, a picture of 256² as PNG about 100.
    pub kept_bytes: usize,
    /// Bytes of an inversion's target in a journal, beside `kept_bytes`: the target cannot be
    /// recomputed.
    pub kept_picture_bytes: usize,
    /// Bytes of a result in the cache.
    pub cached_bytes: usize,
}

/// The budgets in force.
pub const LIMITS: Limits = Limits {
    source_bytes: 1 << 20,
    expression_depth: 64,
    fuel: 10_000_000,
    list_len: 100_000,
    list_values: 1_000_000,
    list_depth: 64,
    text_bytes: 1 << 20,
    shown_values: 1000,
    tensor_bytes: 8 << 30,
    image_side: 8192,
    image_bytes: 256 << 20,
    shown_bytes: 1 << 30,
    pickle_bytes: 64 << 20,
    pickle_ops: 1_000_000,
    pickle_stack: 10_000,
    pickle_memo: 100_000,
    pickle_depth: 64,
    header_bytes: 10_000_000,
    model_bytes: 4 << 30,
    tensors: 20_000,
    rank: 8,
    zip_entries: 20_000,
    tar_entries: 200_000,
    label_bytes: 256 << 20,
    kept_bytes: 256 << 10,
    kept_picture_bytes: 4 << 20,
    cached_bytes: 256 << 20,
};
