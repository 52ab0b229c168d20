"""PP-OCRv4: text detection, angle classification and recognition."""
